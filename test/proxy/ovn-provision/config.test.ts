import t from 'tap'
import { loadConfig } from '../../../lib/config/load.ts'
import { proxyConfig, type ProxyConfig } from '../../../proxy/config/config.ts'
import { plannerConfig, plannerTlsFiles } from '../../../proxy/ovn-provision/config.ts'

function load(...set: string[]): ProxyConfig {
  return loadConfig(proxyConfig.table, {
    environment: {},
    environmentPrefix: proxyConfig.environmentPrefix,
    set,
    check: (config) => proxyConfig.check?.(config) ?? [],
  }).config
}

t.test('OVN provisioning is off by default, and has defaults for everything', async (t) => {
  const { ovn_provision: config } = load()
  t.equal(config.enabled, false)
  t.match(plannerConfig(config, 'info'), {
    southbound: [{ kind: 'tcp', host: '127.0.0.1', tcpPort: 6642 }],
    local: { kind: 'unix', path: '/var/run/openvswitch/db.sock' },
    bridge: 'br-int',
    leaderOnly: false,
  })
})

t.test('OVN provisioning reads the names of Neutron', async (t) => {
  const { ovn_provision: config } = load(
    'ovn_provision.enabled=true',
    'ovn_provision.ovn_sb_connection=["ssl:192.0.2.1:6642","ssl:[2001:db8::1]:6642"]',
    'ovn_provision.ovn_sb_private_key=/etc/ovn/key.pem',
    'ovn_provision.ovn_sb_certificate=/etc/ovn/cert.pem',
    'ovn_provision.ovn_sb_ca_cert=/etc/ovn/ca.pem',
    'ovn_provision.ovsdb_connection=tcp:127.0.0.1:6640',
  )
  t.match(plannerConfig(config, 'debug'), {
    southbound: [{ kind: 'ssl' }, { kind: 'ssl', host: '2001:db8::1' }],
    local: { kind: 'tcp', tcpPort: 6640 },
  })
  t.match(plannerTlsFiles(config), { caCertificate: '/etc/ovn/ca.pem', verifyHost: false })
})

t.test('OVN provisioning refuses what would be made and not served', async (t) => {
  const message = /discover and kinds leave out/
  t.throws(() => load('ovn_provision.enabled=true', 'kinds=["router"]'), { message })
  t.throws(() => load('ovn_provision.enabled=true', 'discover=false'), { message })
  t.doesNotThrow(() => load('kinds=["router"]'))
})

t.test('OVN provisioning wants a key with its certificate', async (t) => {
  t.throws(
    () => load('ovn_provision.enabled=true', 'ovn_provision.ovn_sb_private_key=/etc/ovn/key.pem'),
    { message: /must be given together/ },
  )
})
