import t from 'tap'
import {
  networks,
  overlappingTopology,
  routers,
} from '../../../conformance/overlapping-topology.ts'
import { find, networksOf, withoutPort } from '../../../conformance/port-questions.ts'
import { guests } from '../../../conformance/overlapping-topology.ts'
import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
  type Topology,
  type TopologyPort,
} from '../../../conformance/topology.ts'
import { neutronRestSubject, type Subject } from '../../../support/neutron-rest-subject.ts'

/** Routers with one network each, and guests at 10.0.0.2 and on. */
function cloud(networksWanted: number, guestsPerNetwork: number): Topology {
  const numbers = Array.from({ length: networksWanted }, (_, index) => index + 1)
  const guest = (network: number, index: number): TopologyPort => {
    const number = network * 0x1000 + index + 1
    return {
      portId: portId(number),
      networkId: networkId(network),
      macAddress: mac(number),
      fixedIps: [ip(`10.0.${Math.floor((index + 2) / 256)}.${(index + 2) % 256}`)],
      projectId: projectId(1),
      instanceId: instanceId(number),
      deviceOwner: 'compute:nova',
    }
  }
  return {
    networks: numbers.map((n) => ({ networkId: networkId(n), projectId: projectId(1) })),
    routers: numbers.map((n) => ({
      routerId: routerId(n),
      projectId: projectId(1),
      ports: [
        {
          portId: portId(0x100000 + n),
          networkId: networkId(n),
          macAddress: mac(0x900000 + n),
          fixedIps: [ip('10.0.0.1')],
          deviceOwner: 'network:router_interface',
        },
      ],
    })),
    ports: numbers.flatMap((n) =>
      Array.from({ length: guestsPerNetwork }, (_, index) => guest(n, index)),
    ),
  }
}

/** One request of a guest: its router's networks, then its port. */
async function boot(directory: Subject['directory'], port: TopologyPort): Promise<boolean> {
  const number = Number.parseInt(port.networkId.slice(-12), 16)
  const networkIds = await networksOf(directory, routerId(number), 'cached')
  const [fixedIp] = port.fixedIps
  if (fixedIp === undefined) return false
  const found = await find(
    directory,
    { networkIds, fixedIp, macAddress: port.macAddress },
    'cached',
  )
  return found.length === 1 && found[0]?.instanceId === port.instanceId
}

t.test('100 guests with 28 requests on 5 networks cost at most 5 questions', async (t) => {
  const topology = cloud(5, 20)
  const { neutron, directory } = await neutronRestSubject(t, { topology })
  const right = await Promise.all(
    topology.ports.map(async (port) => {
      for (let request = 0; request < 28; request += 1) {
        if (!(await boot(directory, port))) return false
      }
      return true
    }),
  )
  t.ok(right.every(Boolean))
  t.ok(neutron.questions.length <= 5, `${neutron.questions.length} questions`)
})

t.test('guests that come one after the other cost no more', async (t) => {
  const topology = cloud(5, 20)
  const { neutron, directory } = await neutronRestSubject(t, { topology })
  for (const port of topology.ports) t.equal(await boot(directory, port), true)
  t.ok(neutron.questions.length <= 5, `${neutron.questions.length} questions`)
})

t.test('1,000 guests on 50 networks cost at most one question per network', async (t) => {
  const topology = cloud(50, 20)
  const { neutron, directory } = await neutronRestSubject(t, { topology })
  const right = await Promise.all(topology.ports.map((port) => boot(directory, port)))
  t.ok(right.every(Boolean))
  t.ok(neutron.questions.length <= 5, `${neutron.questions.length} questions`)
})

t.test('networks that are in use are refreshed together', async (t) => {
  const topology = cloud(5, 4)
  const { neutron, directory, clock } = await neutronRestSubject(t, { topology })
  for (const port of topology.ports) await boot(directory, port)
  await clock.advance(15_500)
  const before = neutron.questions.length
  for (const port of topology.ports) t.equal(await boot(directory, port), true)
  t.equal(neutron.questions.length - before, 2, 'router interfaces, and all five networks')
})

t.test('a network that is too large is queried address by address, in batches', async (t) => {
  const topology = cloud(1, 300)
  const { neutron, directory } = await neutronRestSubject(t, {
    topology,
    config: () => ({ prefetchPorts: 100 }),
  })
  t.ok((await Promise.all(topology.ports.map((port) => boot(directory, port)))).every(Boolean))
  const asked = neutron.questions.length
  t.ok(asked <= 20, `${asked} questions for 300 guests`)
  t.ok(neutron.questions.every((seen) => seen.targetBytes <= 7_000))
  const [first] = topology.ports
  t.ok(first && (await boot(directory, first)))
  t.equal(neutron.questions.length - asked, 2, 'one by address, one by MAC')
})

t.test('a small network beside a large one is still fetched whole', async (t) => {
  const large = cloud(1, 300)
  const small = cloud(2, 3)
  const topology = {
    ...small,
    ports: [...large.ports, ...small.ports.filter((p) => p.networkId === networkId(2))],
  }
  const { neutron, directory } = await neutronRestSubject(t, {
    topology,
    config: () => ({ prefetchPorts: 100 }),
  })
  t.ok((await Promise.all(topology.ports.map((port) => boot(directory, port)))).every(Boolean))
  const asked = neutron.questions.length
  for (const port of topology.ports.slice(-3)) t.equal(await boot(directory, port), true)
  t.equal(neutron.questions.length, asked, 'the small one is answered from its copy')
})

t.test('routers are queried by id where there are too many interfaces to fetch', async (t) => {
  const topology = cloud(30, 1)
  const { neutron, directory } = await neutronRestSubject(t, {
    topology,
    config: () => ({ prefetchRouterInterfaces: 10 }),
  })
  t.ok((await Promise.all(topology.ports.map((port) => boot(directory, port)))).every(Boolean))
  const byId = neutron.questions.filter((seen) => seen.query.has('device_id'))
  t.equal(byId.length, 1)
  t.equal(byId[0]?.query.getAll('device_id').length, 30)
})

t.test('pages are followed by their marker, never by their link', async (t) => {
  const topology = cloud(1, 25)
  const { neutron, directory } = await neutronRestSubject(t, {
    topology,
    neutron: { pageSize: 10 },
  })
  const list = neutron.ports.list.bind(neutron.ports)
  neutron.ports.list = (query) => list(query, 'http://203.0.113.1:1')
  for (const port of topology.ports) t.equal(await boot(directory, port), true)
  const pages = neutron.questions.filter((seen) => seen.query.has('network_id'))
  t.equal(pages.length, 3)
  t.ok(pages[2]?.query.get('marker'))
})

t.test('pages that do not end are refused', async (t) => {
  const { neutron, directory, refusal } = await neutronRestSubject(t, { topology: cloud(1, 5) })
  const list = neutron.ports.list.bind(neutron.ports)
  neutron.ports.list = (query, base) => {
    const first = new URLSearchParams(query)
    first.delete('marker')
    return {
      ...(list(first, base) as object),
      ports_links: [{ rel: 'next', href: base }],
    }
  }
  const error = await refusal(
    find(directory, { networkIds: [networkId(1)], fixedIp: ip('10.0.0.2') }, 'fresh'),
  )
  t.match(error.message, 'pages do not end')
})

t.test('only the fields that count are requested', async (t) => {
  const { neutron, directory } = await neutronRestSubject(t)
  await find(directory, { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }, 'cached')
  for (const seen of neutron.questions) {
    t.ok(seen.query.getAll('fields').length >= 5)
    t.notOk(seen.query.getAll('fields').includes('security_groups'))
  }
})

t.test('a fresh answer that differs is sent to every cache, and replaces the copy', async (t) => {
  const { neutron, directory, changes } = await neutronRestSubject(t)
  const query = { networkIds: [networks.plain], fixedIp: ip('10.0.0.11') }
  t.equal((await find(directory, query, 'cached')).length, 1)
  neutron.ports.set(withoutPort(overlappingTopology(), guests.plainNeighbour))
  t.equal((await find(directory, query, 'cached')).length, 1, 'within max_age')
  t.strictSame(changes, [])
  t.strictSame(await find(directory, query, 'fresh'), [])
  t.strictSame(changes, [{ kind: 'network', networkId: networks.plain }])
  t.strictSame(await find(directory, query, 'cached'), [])
})

t.test(
  'a fresh answer about one address of a large network drops a copy it contradicts',
  async (t) => {
    const topology = cloud(1, 300)
    const { neutron, directory, changes } = await neutronRestSubject(t, { topology })
    const [first, second] = topology.ports
    t.ok(first && second)
    if (!first || !second) return
    t.equal(await boot(directory, first), true)
    neutron.ports.set(withoutPort(topology, first))
    const before = neutron.questions.length
    const query = { networkIds: [networkId(1)], macAddress: first.macAddress }
    t.strictSame(await find(directory, query, 'fresh'), [])
    t.equal(neutron.questions.length - before, 1)
    t.strictSame(neutron.questions.at(-1)?.query.getAll('mac_address'), [first.macAddress])
    t.strictSame(changes, [{ kind: 'network', networkId: networkId(1) }])
    t.equal(await boot(directory, first), false)
    t.equal(await boot(directory, second), true)
  },
)

t.test('fresh never takes the answer of a question that had left before', async (t) => {
  const { neutron, directory } = await neutronRestSubject(t)
  const query = { networkIds: [networks.isolated], fixedIp: ip('10.0.0.10') }
  const held: (() => void)[] = []
  const arrived = new Promise<void>((resolve) => {
    neutron.intervene((seen, response) => {
      const answer = JSON.stringify(neutron.ports.list(seen.query, neutron.url))
      held.push(() => void response.writeHead(200).end(answer))
      resolve()
      return true
    })
  })
  const early = find(directory, query, 'cached')
  await arrived
  neutron.intervene(undefined)
  neutron.ports.set(withoutPort(overlappingTopology(), guests.isolated))
  const joined = find(directory, query, 'cached')
  const late = find(directory, query, 'fresh')
  held.forEach((answer) => answer())
  t.equal((await early).length, 1)
  t.equal((await joined).length, 1, 'cached joins')
  t.equal((await late).length, 0, 'fresh asks again')
  t.strictSame(await find(directory, query, 'cached'), [], 'and the newer copy stays')
})

t.test('an empty set of networks is none, not any', async (t) => {
  const { neutron, directory } = await neutronRestSubject(t)
  const before = neutron.questions.length
  t.strictSame(await find(directory, { networkIds: [], fixedIp: ip('10.0.0.10') }, 'fresh'), [])
  t.equal(neutron.questions.length, before)
})

t.test('a router that loses a network is reported', async (t) => {
  const { neutron, directory, changes } = await neutronRestSubject(t)
  await networksOf(directory, routers.twins, 'cached')
  const before = overlappingTopology()
  neutron.ports.set({
    ...before,
    routers: before.routers.filter((router) => router.routerId !== routers.twins),
  })
  t.strictSame(await networksOf(directory, routers.twins, 'fresh'), [])
  t.strictSame(changes, [{ kind: 'router', routerId: routers.twins }])
})

t.test('more askers than queue are refused at once', async (t) => {
  const { directory, refusal } = await neutronRestSubject(t, { config: () => ({ queue: 2 }) })
  const ask = (network: number): Promise<unknown> =>
    find(directory, { networkIds: [networkId(network)], fixedIp: ip('10.0.0.10') }, 'fresh')
  const all = [ask(1), ask(2), ask(3)].map((one) => one.catch((thrown: unknown) => thrown))
  const error = await refusal(ask(4))
  t.equal(error.code, 'directory_unavailable')
  t.match(error.message, 'wait for an answer already')
  await Promise.all(all)
})
