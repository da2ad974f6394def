import t, { type Test } from 'tap'
import type { Port } from '../../../../agent-side/ports/directory/port-directory.ts'
import type { NetworkId } from '../../../../lib/identity/ids.ts'
import { networks } from '../../../conformance/overlapping-topology.ts'
import { ip } from '../../../conformance/topology.ts'
import { answering } from '../../../support/fake-neutron.ts'
import {
  neutronRestSubject,
  type Subject,
  type SubjectOptions,
} from '../../../support/neutron-rest-subject.ts'

const fixedIp = ip('10.0.0.10')
const tag = 'overlapd:user_data:token=enforce'
const path = '/v2.0/networks'

interface Tagged extends Subject {
  portsOf(networkId: NetworkId, freshness?: 'cached' | 'fresh'): Promise<readonly Port[]>
  tagsOf(networkId: NetworkId, freshness?: 'cached' | 'fresh'): Promise<readonly unknown[]>
  tagQueries(): number
}

async function start(t: Test, options: SubjectOptions = {}): Promise<Tagged> {
  const subject = await neutronRestSubject(t, { readsNetworkTags: true, ...options })
  const { directory, driven, neutron } = subject
  const signal = new AbortController().signal
  const portsOf: Tagged['portsOf'] = async (networkId, freshness = 'cached') => {
    const query = { networkIds: [networkId], fixedIp }
    const { ports } = await driven(directory.findPorts(query, { signal, freshness }))
    return ports
  }
  return {
    ...subject,
    portsOf,
    tagsOf: async (...query) => (await portsOf(...query)).map(({ networkTags }) => networkTags),
    tagQueries: () => neutron.requests.filter((seen) => seen.path === path).length,
  }
}

t.test('ports carry the tags for the shield of their own network', async (t) => {
  const { neutron, tagsOf, tagQueries } = await start(t)
  neutron.ports.tags = { [networks.twinOne]: ['blue', tag, 'overlapd:*:host=observe'] }
  t.strictSame(await tagsOf(networks.twinOne), [['overlapd:*:host=observe', tag]])
  t.strictSame(await tagsOf(networks.twinTwo), [undefined])
  const before = tagQueries()
  t.strictSame(await tagsOf(networks.twinOne), [['overlapd:*:host=observe', tag]])
  t.equal(tagQueries(), before, 'they are kept as long as the ports')
})

t.test('where they are not wanted no tags are queried', async (t) => {
  const { neutron, tagsOf, tagQueries } = await start(t, { readsNetworkTags: false })
  neutron.ports.tags = { [networks.twinOne]: [tag] }
  t.strictSame(await tagsOf(networks.twinOne), [undefined])
  t.equal(tagQueries(), 0)
})

t.test('a changed tag counts after max_age, and is reported for its network', async (t) => {
  const { neutron, clock, changes, tagsOf } = await start(t)
  t.strictSame(await tagsOf(networks.twinOne), [undefined])
  neutron.ports.tags = { [networks.twinOne]: [tag] }
  await clock.advance(10_000)
  t.strictSame(await tagsOf(networks.twinOne), [[tag]])
  t.strictSame(changes, [{ kind: 'network', networkId: networks.twinOne }])
})

t.test('known tags are kept while Neutron does not answer, as ports are', async (t) => {
  const { neutron, clock, tagsOf, portsOf, refusal } = await start(t, {
    config: () => ({ attempts: 1 }),
  })
  neutron.ports.tags = { [networks.twinOne]: [tag] }
  await tagsOf(networks.twinOne)
  neutron.intervene(answering(500, {}, '', path))
  await clock.advance(10_000)
  t.strictSame(await tagsOf(networks.twinOne), [[tag]], 'though ports are answered')
  await clock.advance(60_000)
  t.match((await refusal(portsOf(networks.twinOne))).code, /^directory_(?:unavailable|timeout)$/)
})

t.test('without the tags of its network no port is answered', async (t) => {
  const answers = {
    'an error': answering(403, {}, '', path),
    'no network': answering(200, {}, '{"networks": []}', path),
    'no tags': answering(200, {}, `{"networks": [{"id": "${networks.twinOne}"}]}`, path),
    'another network': answering(
      200,
      {},
      `{"networks": [{"id": "${networks.twinTwo}", "tags": []}]}`,
      path,
    ),
    'no list': answering(200, {}, '{"ports": []}', path),
  }
  for (const [what, intervention] of Object.entries(answers)) {
    const { neutron, portsOf, refusal } = await start(t, { config: () => ({ attempts: 1 }) })
    neutron.intervene(intervention)
    t.equal((await refusal(portsOf(networks.twinOne))).code, 'directory_unavailable', what)
  }
})

t.test('a network that is deleted between the two answers holds up no other network', async (t) => {
  const { neutron, tagsOf } = await start(t)
  neutron.ports.tags = { [networks.twinOne]: [tag] }
  const isOther = (id: string): boolean => id !== networks.twinTwo
  let portQueries = 0
  neutron.intervene((seen, response) => {
    const { ports } = neutron
    if (seen.path !== path) {
      portQueries += 1
      if (portQueries === 2) ports.rows = ports.rows.filter((row) => isOther(row.network_id))
      return false
    }
    const { networks: all } = ports.listNetworks(seen.query) as { networks: { id: string }[] }
    const left = all.filter(({ id }) => isOther(id))
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ networks: left }))
    return true
  })
  const [one, two] = await Promise.all([tagsOf(networks.twinOne), tagsOf(networks.twinTwo)])
  t.strictSame(one, [[tag]])
  t.strictSame(two, [])
  t.equal(portQueries, 2)
})

t.test('a network that is queried address by address has its tags as well', async (t) => {
  const { neutron, tagsOf } = await start(t, { config: () => ({ prefetchPorts: 0 }) })
  neutron.ports.tags = { [networks.twinOne]: [tag] }
  t.strictSame(await tagsOf(networks.twinOne), [[tag]])
  t.strictSame(await tagsOf(networks.twinTwo), [undefined])
})

t.test('tags that fill an answer hold up no other network', async (t) => {
  const { neutron, tagsOf, tagQueries, directory } = await start(t, {
    config: () => ({ bodyBytes: 20_000 }),
  })
  const many = Array.from({ length: 2_000 }, (_, index) => `overlapd:${index}`)
  neutron.ports.tags = { [networks.twinOne]: many, [networks.twinTwo]: [tag] }
  const [unread, own] = await Promise.all([tagsOf(networks.twinOne), tagsOf(networks.twinTwo)])
  t.strictSame(own, [[tag]])
  t.strictSame(unread, [['overlapd: more tags than can be read']])
  t.equal(directory.readiness().trouble, undefined)
  const before = tagQueries()
  t.strictSame(await tagsOf(networks.twinOne, 'fresh'), unread)
  t.equal(tagQueries(), before, 'nor is it queried each time')
})

t.test('of many tags some are kept', async (t) => {
  const { neutron, tagsOf } = await start(t)
  const many = Array.from({ length: 1_000 }, (_, index) => `overlapd:${'x'.repeat(300)}${index}`)
  neutron.ports.tags = { [networks.twinOne]: many }
  const [tags] = (await tagsOf(networks.twinOne)) as readonly (readonly string[])[]
  t.equal(tags?.length, 65)
  t.ok(tags?.every((one) => one.length === 255))
})
