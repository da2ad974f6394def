/**
 * An instance with ports on two networks of a router used the address of the one with the MAC of the other and got 404
 * source_mac_conflict. Right: both name the same instance, so it is answered.
 */
import t from 'tap'
import { startAgentWithFile } from '../support/agent-with-file.ts'
import {
  joiningRouter,
  sharedNetworkTopology,
  throughAttackers,
  throughShared,
  twoPorts,
  victim,
} from '../support/shared-network-topology.ts'

t.test('address of one port and MAC of another name one instance', async (t) => {
  const ask = await startAgentWithFile(t, sharedNetworkTopology, { source_mac: 'verify' })
  const { onAttackers, onShared } = twoPorts
  const [address = ''] = onShared.fixedIps
  const from = (mac: string, ip: string, ingress?: string): Promise<string> =>
    ask([
      ['X-Neutron-Router-ID', joiningRouter],
      ['X-Forwarded-For', ip],
      ['X-Overlapd-Source-MAC', mac],
      ...(ingress === undefined ? [] : ([['X-Overlapd-Ingress-Port', ingress]] as const)),
    ])
  const instance = onShared.instanceId
  t.equal(await from(onAttackers.macAddress, address), instance, 'ingress not known')
  t.equal(await from(onAttackers.macAddress, address, throughAttackers), instance)
  t.match(
    await from(onAttackers.macAddress, address, throughShared),
    /^source_mac_unknown$/,
    'the MAC is of no port on the network it came in through',
  )
  const [foreign = ''] = victim.fixedIps
  t.equal(await from(onAttackers.macAddress, foreign), 'source_mac_conflict')
  t.equal(await from(onAttackers.macAddress, foreign, throughAttackers), 'ingress_mismatch')
})
