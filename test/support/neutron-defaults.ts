/** What the directories of Neutron are told when the operator says nothing. */
import { neutronRestConfig, neutronRestTable } from '../../agent-side/ports/neutron-rest/config.ts'
import { neutronRpcConfig, neutronRpcTable } from '../../agent-side/ports/neutron-rpc/config.ts'
import { loadConfig } from '../../lib/config/load.ts'

const environmentPrefix = 'OVERLAPD_TEST'

const rest = loadConfig(neutronRestTable, {
  environment: {},
  environmentPrefix,
  set: ['auth_type=none'],
})

const rpc = loadConfig(neutronRpcTable, {
  environment: { [`${environmentPrefix}_TRANSPORT_URL`]: 'rabbit://nobody@nowhere' },
  environmentPrefix,
})

/** Without logging in. */
export const neutronRestDefaults = neutronRestConfig(rest.config, {
  environment: {},
  workingDirectory: '/',
})
/** With a broker that is nowhere. */
export const neutronRpcDefaults = neutronRpcConfig(rpc.config)
