import t from 'tap'
import { loadConfig } from '../../../lib/config/load.ts'
import { proxyConfig, readMapping, type ProxyConfig } from '../../../proxy/config/config.ts'

function load(...set: string[]): ProxyConfig {
  return loadConfig(proxyConfig.table, {
    environment: {},
    environmentPrefix: proxyConfig.environmentPrefix,
    set,
    check: (config) => proxyConfig.check?.(config) ?? [],
  }).config
}

t.test('proxyConfig has a default for everything', async (t) => {
  t.match(load(), {
    netns_dir: '/run/netns',
    kinds: ['router', 'network', 'ovn'],
    agents: [{ kind: 'unix', socket: '/run/overlapd/agent.sock' }],
    intercept: { enabled: true, tcp_port: 9697, keep_on_exit: false },
  })
})

t.test('proxyConfig reads mappings', async (t) => {
  const { mappings } = load(
    'mappings=[{"netns":"blue","ovn_network":"n1","listen":["169.254.169.254:80"],"intercept":false}]',
  )
  t.match(readMapping(mappings[0]!), {
    netns: 'blue',
    identity: { kind: 'ovn', flavour: 'ovn' },
    listen: [{ address: '169.254.169.254', tcpPort: 80 }],
    intercept: false,
  })
})

t.test('proxyConfig refuses mappings to no scope, to two, or twice', async (t) => {
  const exactlyOne = { message: /exactly one of router, network and ovn_network/ }
  t.throws(() => load('mappings=[{"netns":"blue"}]'), exactlyOne)
  t.throws(() => load('mappings=[{"netns":"blue","router":"a","network":"b"}]'), exactlyOne)
  t.throws(() => load('mappings=[{"netns":"blue","router":"a"},{"netns":"blue","router":"b"}]'), {
    message: /mapped more than once/,
  })
})

t.test(
  'proxyConfig refuses an interface that would be more than a name in the rules',
  async (t) => {
    t.throws(() => load('intercept.interface=qr" accept'), { message: /name of an interface/ })
    t.equal(load('intercept.interface=qr-*').intercept.interface, 'qr-*')
  },
)
