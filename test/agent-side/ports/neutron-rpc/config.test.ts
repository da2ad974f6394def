import t from 'tap'
import { neutronRpcDefaults } from '../../../support/neutron-defaults.ts'
import { loadConfig } from '../../../../lib/config/load.ts'
import { Secret } from '../../../../lib/runtime/secret.ts'
import {
  neutronRpcConfig,
  neutronRpcTable,
} from '../../../../agent-side/ports/neutron-rpc/config.ts'
import { withUrlOptions } from '../../../../agent-side/ports/neutron-rpc/bus/url-options.ts'

const transportUrl = new Secret('rabbit://neutron:pw@rabbit/')

function loaded(set: readonly string[] = []): ReturnType<typeof neutronRpcConfig> {
  const { config } = loadConfig(neutronRpcTable, {
    environment: { TEST_TRANSPORT_URL: transportUrl.reveal() },
    environmentPrefix: 'TEST',
    set,
  })
  return neutronRpcConfig(config)
}

t.test('neutronRpcConfig() of the table alone trusts an answer for seconds', async (t) => {
  const { transportUrl: given, ...rest } = loaded()
  t.equal(given.reveal(), 'rabbit://neutron:pw@rabbit/')
  t.match(rest, { maxAge: 2_000, maxStale: 5_000, heartbeat: 15, push: true, copy: 'networks' })
  t.notOk('tls' in rest)
})

t.test('neutronRpcConfig() turns durations into what the protocol counts in', async (t) => {
  const config = loaded(['heartbeat=1500ms', 'rabbit_transient_queues_ttl=1h', 'max_age=2s'])
  t.equal(config.heartbeat, 2)
  t.equal(config.transientQueuesTtl, 3_600)
  t.equal(config.maxAge, 2_000)
})

t.test('neutronRpcConfig() has TLS where ssl is on', async (t) => {
  t.notOk('tls' in loaded(['ssl_ca_file=/ca.pem']))
  t.strictSame(loaded(['ssl=true', 'ssl_ca_file=/ca.pem']).tls, {
    verifyHostname: true,
    insecure: false,
    caFile: '/ca.pem',
  })
})

t.test('withUrlOptions() lets the URL win, and only where it can be read', async (t) => {
  const plain = { ...neutronRpcDefaults, transportUrl }
  const tls = { verifyHostname: false, insecure: false, caFile: '/ca.pem' }
  const cases = [
    [plain, {}, undefined, 15],
    [plain, { ssl: '1', ssl_ca_file: '/url.pem' }, '/url.pem', 15],
    [plain, { rabbit_use_ssl: 'True' }, undefined, 15],
    [plain, { heartbeat_timeout_threshold: '60' }, undefined, 60],
    [plain, { heartbeat_timeout_threshold: 'often' }, undefined, 15],
    [{ ...plain, tls }, {}, '/ca.pem', 15],
    [{ ...plain, tls }, { ssl: 'false' }, undefined, 15],
    [{ ...plain, tls }, { ssl: 'true', ssl_ca_file: '/url.pem' }, '/url.pem', 15],
  ] as const
  for (const [config, options, caFile, heartbeat] of cases) {
    const url = new Map<string, string>(Object.entries(options))
    const result = withUrlOptions(config, url)
    t.equal(result.tls?.caFile, caFile, JSON.stringify(options))
    t.equal(result.heartbeat, heartbeat, JSON.stringify(options))
  }
  t.ok(withUrlOptions(plain, new Map([['rabbit_use_ssl', 'True']])).tls)
  t.notOk(withUrlOptions({ ...plain, tls }, new Map([['ssl', 'false']])).tls)
})
