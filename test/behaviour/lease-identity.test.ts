import t from 'tap'
import { guestPort, startLeasePair } from '../support/lease-pair.ts'
import { ip, mac, networkId, portId, routerId } from '../conformance/topology.ts'

const network = { kind: 'network', networkId: networkId(1) } as const
const router = { kind: 'router', routerId: routerId(1) } as const

t.test(
  'a guest whose address and MAC agree is served straight from its second request on',
  async (t) => {
    const { directory, upstream, worker } = await startLeasePair(t)
    const port = guestPort(1)
    directory.setPorts(port)
    directory.remember()
    await worker.askUntilLeased(port)
    t.equal(await worker.direct(), 0, 'the first one went over the agent')
    const answer = await worker.ask(port)
    t.equal(await worker.direct(), 1)
    t.equal(answer.status, 200)
    t.equal(answer.body.toString(), port.instanceId)
    t.ok(answer.field('x-request-id'))
    const [overAgent, straight] = upstream.requests
    t.strictSame(straight?.rawHeaders, overAgent?.rawHeaders, 'compute cannot tell the ways apart')
  },
)

t.test('no guest is leased that is not known by address and MAC', async (t) => {
  const { directory, worker } = await startLeasePair(t, {
    scopes: [router, network],
  })
  const routed = guestPort(1, { fixedIps: [ip('127.0.1.1')] })
  const byName = guestPort(2, { fixedIps: [ip('127.0.1.2')] })
  directory.setRouter(router.routerId, [networkId(1)])
  directory.setPorts(routed, byName)
  directory.remember()
  const other = mac(77)
  t.equal((await worker.ask({ ...routed, macAddress: other })).status, 200, 'a routed guest')
  const noMac = { fixedIps: byName.fixedIps, macAddress: undefined }
  t.equal((await worker.ask(noMac)).status, 200, 'a guest without a MAC')
  t.equal((await worker.ask({ ...routed, macAddress: byName.macAddress })).status, 404, 'a thief')
  // A lease that is given after all of them were refused would show that theirs are not merely late.
  await worker.askUntilLeased(routed)
  t.equal(await worker.leases(), 1)
  t.equal(await worker.direct(), 0)
})

t.test('a lease ends with its time, by a clock that cannot be set', async (t) => {
  const { clock, directory, worker, pass } = await startLeasePair(t)
  const port = guestPort(1)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  clock.jumpWallTime(-86_400_000)
  await worker.ask(port)
  clock.jumpWallTime(2 * 86_400_000)
  await worker.ask(port)
  t.equal(await worker.direct(), 2, 'wherever the wall clock jumps')
  await pass(9_999)
  await worker.ask(port)
  t.equal(await worker.direct(), 3, 'still within its ten seconds')
  clock.pass(2)
  await worker.ask(port)
  t.equal(await worker.direct(), 3)
})

t.test('a lease ends when the identity is no longer remembered', async (t) => {
  const { clock, directory, worker, pass } = await startLeasePair(t, {
    config: { cache: { ttl: '4s' } },
  })
  const port = guestPort(1)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  await pass(3_999)
  await worker.ask(port)
  t.equal(await worker.direct(), 1)
  clock.pass(2)
  await worker.ask(port)
  t.equal(await worker.direct(), 1, 'four seconds after the source said so')
})

for (const told of [
  { what: 'a change of the network', change: { kind: 'network', networkId: networkId(1) } },
  { what: 'a change of the router', change: { kind: 'router', routerId: router.routerId } },
  { what: 'a change of everything', change: { kind: 'all', why: 'a test' } },
] as const) {
  t.test(`${told.what} ends a lease at once, and the next answer is right`, async (t) => {
    const { directory, worker } = await startLeasePair(t, { scopes: [router] })
    const port = guestPort(1)
    directory.setRouter(router.routerId, [networkId(1)])
    directory.setPorts(port)
    directory.remember()
    await worker.askUntilLeased(port)
    // The same port, address and MAC: only the source can tell that it is another instance's now.
    const changed = guestPort(2, { portId: portId(1), macAddress: port.macAddress })
    directory.setPorts(changed)
    directory.remember()
    directory.tell(told.change)
    await worker.untilLeases(0)
    const answer = await worker.ask(port)
    t.equal(answer.body.toString(), changed.instanceId)
  })
}

t.test('a change of another network leaves a lease alone', async (t) => {
  const { directory, worker } = await startLeasePair(t)
  const port = guestPort(1)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  directory.tell({ kind: 'network', networkId: networkId(2) })
  directory.tell({ kind: 'router', routerId: router.routerId })
  await worker.ask(port)
  t.equal(await worker.direct(), 1)
})

t.test(
  'a port that is deleted has no lease any more, also on a connection that stays',
  async (t) => {
    const { directory, worker } = await startLeasePair(t)
    const port = guestPort(1)
    directory.setPorts(port)
    directory.remember()
    await worker.askUntilLeased(port)
    const connection = await worker.connectAs(port)
    void connection.write('GET /latest HTTP/1.1\r\nHost: x\r\n\r\n')
    t.equal((await connection.answer())?.status, 200)
    directory.deletePort(port.portId)
    directory.remember()
    directory.tell({ kind: 'network', networkId: networkId(1) })
    await worker.untilLeases(0)
    void connection.write('GET /latest HTTP/1.1\r\nHost: x\r\n\r\n')
    const answer = await connection.answer()
    t.equal(answer?.status, 404)
    t.equal(answer?.field('x-overlapd-reason'), 'no_port')
    connection.close()
  },
)

t.test('another MAC at the address ends the lease in every worker', async (t) => {
  const pair = await startLeasePair(t)
  const { directory, worker } = pair
  const other = await pair.another()
  const before = guestPort(1)
  const after = guestPort(2)
  directory.setPorts(before)
  directory.remember()
  await worker.askUntilLeased(before)
  await other.askUntilLeased(before)
  // Nobody tells of the change.
  directory.deletePort(before.portId)
  directory.setPorts(after)
  const connection = await worker.connectAs(after)
  t.equal(await worker.leases(), 0, 'here, before it has asked anything')
  connection.close()
  t.equal(await other.leases(), 1)
  t.equal((await worker.ask(after)).body.toString(), after.instanceId)
  await other.untilLeases(0)
  t.equal((await other.ask(after)).body.toString(), after.instanceId)
})

t.test("two guests that fight for an address never get each other's lease", async (t) => {
  const { directory, worker } = await startLeasePair(t)
  const owner = guestPort(1)
  const thief = guestPort(2, { fixedIps: [ip('127.0.1.9')] })
  directory.setPorts(owner, thief)
  directory.remember()
  for (let turn = 0; turn < 20; turn += 1) {
    const asOwner = await worker.ask(owner)
    t.equal(asOwner.body.toString(), owner.instanceId)
    const asThief = await worker.ask({ ...owner, macAddress: thief.macAddress })
    t.equal(asThief.status, 404)
    t.equal(asThief.field('x-overlapd-reason'), 'source_mac_conflict')
  }
})

t.test('a lease of one scope serves no guest in another', async (t) => {
  const { directory, worker } = await startLeasePair(t, {
    scopes: [network, { kind: 'network', networkId: networkId(2) }],
  })
  const here = guestPort(1)
  const there = guestPort(2, { networkId: networkId(2), macAddress: here.macAddress })
  directory.setPorts(here, there)
  directory.remember()
  await worker.askUntilLeased(here, 0)
  t.equal((await worker.ask(there, undefined, 1)).body.toString(), there.instanceId)
  t.equal(await worker.direct(), 0)
  await worker.untilLeases(2)
  t.equal((await worker.ask(there, undefined, 1)).body.toString(), there.instanceId)
  t.equal((await worker.ask(here, undefined, 0)).body.toString(), here.instanceId)
  t.equal(await worker.direct(), 2)
})

t.test('a scope without a listener has no leases', async (t) => {
  const { directory, worker } = await startLeasePair(t)
  const port = guestPort(1)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  const connection = await worker.connectAs(port)
  await worker.worker.handle({ kind: 'close-listeners', listenerIds: [1] })
  t.equal(await worker.leases(), 0)
  void connection.write('GET /latest HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal((await connection.answer())?.body.toString(), port.instanceId)
  t.equal(await worker.direct(), 0, 'nor asks for one')
  connection.close()
})

t.test('where requests are limited by the agent no guest is leased', async (t) => {
  const { directory, worker, agent } = await startLeasePair(t, {
    config: { rate_limit: { enabled: true } },
  })
  const port = guestPort(1)
  directory.setPorts(port)
  directory.remember()
  for (let turn = 0; turn < 5; turn += 1) t.equal((await worker.ask(port)).status, 200)
  t.equal(await worker.direct(), 0)
  t.equal(await worker.leases(), 0)
  t.match(await agent.json('/status'), { rateLimit: { enabled: true } })
})
