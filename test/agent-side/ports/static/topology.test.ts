import t from 'tap'
import { StaticFileError } from '../../../../agent-side/ports/static/problems.ts'
import { parseTopology } from '../../../../agent-side/ports/static/read-topology.ts'

function problemsOf(text: string): readonly string[] {
  try {
    parseTopology(text, 'ports.yaml')
  } catch (cause) {
    if (cause instanceof StaticFileError) return cause.problems
    throw cause
  }
  return []
}

t.test('parseTopology() reports every problem with its place and the expected form', async (t) => {
  const problems = problemsOf(`networks:
- id: net-a
  subnets: [10.0.0.0/24, {cidr: fd00::/64, gatway_ip: x}]
- id: 5
ports:
- network: net-a
  mac: zz
  fixed_ips: [10.0.0.300, 'fe80::1%eth0']
- network: nope
instances:
- flavor: x
- {name: web, user_data: x, user_data_base64: eA==}
compute:
  faults: [{path: '('}]
frob: 1
`)
  const expected = [
    'frob: unknown key (line 15)',
    'networks[0].subnets[1].gatway_ip: unknown key (line 3)',
    'networks[1].id: expected an id: letters, digits and . _ : - (put digits alone into quotes), received 5 (line 4)',
    'instances[0]: expected an id or a name (line 11)',
    'instances[1]: expected user_data or user_data_base64, not both (line 12)',
    'ports[0].mac: expected a MAC address such as fa:16:3e:00:00:10, received "zz" (line 7)',
    'ports[0].fixed_ips[0]: expected an IP address such as 10.0.0.10 or fd00::10, received "10.0.0.300" (line 8)',
    'ports[0].fixed_ips[1]: expected an IP address such as 10.0.0.10 or fd00::10, received "fe80::1%eth0" (line 8)',
    'ports[1].mac: expected a MAC address such as fa:16:3e:00:00:10, received nothing (line 9)',
  ]
  t.strictSame(problems.slice(0, -1), expected)
  t.match(problems.at(-1), /^compute\.faults\[0\]\.path: expected a regular expression/)
})

t.test('parseTopology() reports what leads nowhere or is there twice', async (t) => {
  t.strictSame(
    problemsOf(`
projects: [{id: a}, {id: b, name: beta}]
networks: [{id: net-a, project: gamma}, {id: net-b, name: twin}, {id: net-c, name: twin}]
routers: [{id: router-a, networks: [net-z]}]
ports:
- {network: net-a, mac: 'fa:16:3e:00:00:01', router: router-z}
- {network: net-b, mac: 'fa:16:3e:00:00:01', instance: free}
`),
    ['ports[1]: expected a project, since the port belongs to an instance (line 7)'],
  )
  t.strictSame(
    problemsOf(`
projects: [{id: a}, {id: b, name: beta}]
networks: [{id: net-a, project: gamma}]
routers: [{id: router-a, networks: [net-z]}]
ports: [{network: net-a, mac: 'fa:16:3e:00:00:01', router: router-z}]
`),
    [
      'networks[0].project: expected the id or name of a project of this file, received "gamma" (line 3)',
      'routers[0].networks[0]: expected the id or name of a network of this file, received "net-z" (line 4)',
      'ports[0].router: expected the id or name of a router of this file, received "router-z" (line 5)',
    ],
  )
  t.strictSame(
    problemsOf(`
networks: [{id: net-a, name: twin}, {id: net-b, name: twin}, {id: net-b}]
routers: [{id: router-a}]
ports:
- {id: p, network: twin, mac: 'fa:16:3e:00:00:01'}
- {id: p, network: net-a, mac: 'fa:16:3e:00:00:01'}
- {id: p, network: net-a, mac: 'fa:16:3e:00:00:01', router: router-a, instance: x, project: a}
instances: [{name: web, project: a}, {name: web, project: a}]
`),
    [
      'networks[2].id: the network "net-b" is declared twice (line 2)',
      'instances[1].id: the instance "ad9ef561-fef5-8cd5-a3e2-ace9822e7aec" is declared twice (line 8)',
      'ports[0].network: several networks are named "twin"; use the id (line 5)',
      'ports[2].id: the port "p" is declared twice (line 7)',
      'ports[2].instance: a port belongs to an instance or to a router, not to both (line 7)',
    ],
  )
})

t.test('parseTopology() follows names and fills in what is left out, always alike', async (t) => {
  const text = `
projects: [{id: '0123456789abcdef0123456789abcdef', name: team}]
networks: [{id: net-a, name: lan, project: team, subnets: [10.0.0.0/24]}]
routers:
- {id: router-a, name: edge, networks: [lan, net-a]}
- {id: router-b}
ports:
- {network: lan, mac: 'FA-16-3E-00-00-01', fixed_ips: [10.0.0.1], router: edge}
- {network: lan, mac: 'fa:16:3e:00:00:02', fixed_ips: ['::ffff:10.0.0.2'], instance: free-1}
- {network: lan, mac: 'fa:16:3e:00:00:03', router: router-b, device_owner: 'network:router_gateway'}
- {network: lan, mac: 'fa:16:3e:00:00:04', instance: web-1}
instances:
- {name: web-1, ports: [{network: lan, mac: 'fa:16:3e:00:00:05', fixed_ips: [10.0.0.5, 10.0.0.5]}]}
`
  const topology = parseTopology(text, 'ports.yaml')
  const ofRouter = topology.ports.find(({ macAddress }) => macAddress === 'fa:16:3e:00:00:01')
  t.strictSame(
    [...topology.routers],
    [
      ['router-a', [{ networkId: 'net-a', portId: ofRouter?.portId }]],
      ['router-b', []],
    ],
  )
  const [instance] = topology.instances.values()
  const project = '0123456789abcdef0123456789abcdef'
  t.equal(instance?.projectId, project, 'of its network')
  const shown = topology.ports.map((port) => [
    port.macAddress,
    port.fixedIps.join(' '),
    port.instanceId,
    port.projectId,
    port.deviceOwner,
  ])
  t.strictSame(shown, [
    ['fa:16:3e:00:00:05', '10.0.0.5', instance?.instanceId, project, 'compute:nova'],
    ['fa:16:3e:00:00:01', '10.0.0.1', undefined, project, 'network:router_interface'],
    ['fa:16:3e:00:00:02', '10.0.0.2', 'free-1', project, 'compute:nova'],
    ['fa:16:3e:00:00:03', '', undefined, project, 'network:router_gateway'],
    ['fa:16:3e:00:00:04', '', instance?.instanceId, project, 'compute:nova'],
  ])
  t.match(instance?.instanceId, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
  t.strictSame(parseTopology(text, 'other.yaml').ports, topology.ports)
  t.strictSame(parseTopology('{"networks": [{"id": "n"}]}', 'x.json').networks.size, 1)
})
