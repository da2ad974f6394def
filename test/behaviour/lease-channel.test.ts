import t, { type Test } from 'tap'
import { longestLeaseLine } from '../../lib/wire/lease-messages.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { leaseFor, LeaseGiver } from '../support/lease-giver.ts'
import { guestPort, ioTurns, LeaseWorker } from '../support/lease-pair.ts'
import { RecordingAgent } from '../support/recording-agent.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

interface Stage {
  readonly clock: FakeClock
  readonly giver: LeaseGiver
  readonly agent: RecordingAgent
  readonly upstream: RecordingUpstream
  readonly worker: LeaseWorker
}

const guest = guestPort(1)

/** A worker between an agent of this test's making and a Nova. */
async function stage(t: Test): Promise<Stage> {
  const clock = new FakeClock()
  const giver = await LeaseGiver.start(t)
  const agent = await RecordingAgent.start()
  t.teardown(() => agent.close())
  const upstream = await RecordingUpstream.start()
  t.teardown(() => upstream.close())
  giver.answer = (request) => {
    if (request.kind === 'request') giver.say(leaseFor(request, [upstream.url]))
  }
  const worker = await LeaseWorker.start(t, {
    clock,
    agentSocket: agent.path,
    leaseSocket: giver.path,
  })
  while (giver.connections === 0) await ioTurns()
  await ioTurns()
  return { clock, giver, agent, upstream, worker }
}

t.test(
  'a worker that receives nothing of the agent for three seconds trusts no lease',
  async (t) => {
    const { clock, giver, worker, agent } = await stage(t)
    await worker.askUntilLeased(guest)
    clock.pass(2_999)
    await worker.ask(guest)
    t.equal(await worker.direct(), 1)
    // As after SIGSTOP: time has passed, and no timer has run.
    clock.pass(1)
    await worker.ask(guest)
    t.equal(await worker.direct(), 1)
    t.equal(await worker.leases(), 0)
    t.equal(agent.requests.length, 2)

    t.test('nor one from before the silence when the agent sends again', async (t) => {
      giver.say({ kind: 'heartbeat' })
      await ioTurns()
      giver.answer = () => undefined
      await worker.ask(guest)
      t.equal(await worker.direct(), 1)
    })

    t.test('and a silent connection is given up for a new one', async (t) => {
      const before = giver.connections
      await clock.advance(3_000)
      await clock.advance(200)
      while (giver.connections === before) await ioTurns()
      t.equal(await worker.leases(), 0)
    })
  },
)

t.test('every lease ends with the connection, and requests begin anew', async (t) => {
  const { clock, giver, worker, agent } = await stage(t)
  await worker.askUntilLeased(guest)
  giver.stop()
  await worker.untilLeases(0)
  await worker.ask(guest)
  t.equal(await worker.direct(), 0)
  t.equal(agent.requests.length, 2)
  await giver.listen()
  const before = giver.connections
  while (giver.connections === before) await clock.advance(200)
  await ioTurns()
  await worker.askUntilLeased(guest)
  await worker.ask(guest)
  t.equal(await worker.direct(), 1)
})

t.test('what is revoked is gone, one by one or all', async (t) => {
  const { giver, worker } = await stage(t)
  const other = guestPort(2, { fixedIps: guestPort(2).fixedIps.map(() => '127.0.1.2' as never) })
  await worker.askUntilLeased(guest)
  await worker.askUntilLeased(other)
  giver.say({ kind: 'revoke', leases: [1_001, 4_711] })
  await worker.untilLeases(1)
  await worker.ask(other)
  t.equal(await worker.direct(), 1)
  await worker.askUntilLeased(guest)
  giver.say({ kind: 'revoke_all' })
  await worker.untilLeases(0)
})

t.test('a lease that comes after another MAC was seen is not taken', async (t) => {
  const { giver, worker, upstream } = await stage(t)
  let late: (() => void) | undefined
  giver.answer = (request) => {
    if (request.kind === 'request') late = () => giver.say(leaseFor(request, [upstream.url]))
  }
  await worker.ask(guest)
  while (late === undefined) await ioTurns()
  await worker.connectAs(guestPort(2))
  late()
  await ioTurns()
  t.equal(await worker.leases(), 0)
})

for (const [what, unreached] of [
  ['no way to it', { url: 'http://127.0.0.1:1' }],
  ['no file of its authorities', { url: 'https://127.0.0.1:1', caFile: '/nowhere/ca.pem' }],
] as const) {
  t.test(`what the agent reaches and the worker does not is served: ${what}`, async (t) => {
    const { giver, worker, agent } = await stage(t)
    giver.answer = (request) => {
      if (request.kind !== 'request') return
      const lease = leaseFor(request, [unreached.url])
      giver.say({ ...lease, upstreams: lease.upstreams.map((one) => ({ ...one, ...unreached })) })
    }
    await worker.askUntilLeased(guest)
    for (let count = 0; count < 3; count += 1) t.equal((await worker.ask(guest)).status, 200)
    t.equal(agent.requests.length, 4)
    t.ok((await worker.direct()) <= 1, 'one request finds out')
    t.match(await worker.forwarding(), {
      way: 'agent',
      why: 'compute_unreached',
      failure: /ECONNREFUSED|ENOENT/,
    })
  })
}

t.test('an answer without a request is no lease', async (t) => {
  const { giver, worker, upstream } = await stage(t)
  giver.answer = (request) => {
    if (request.kind !== 'request') return
    giver.say(leaseFor({ ...request, request: request.request + 7 }, [upstream.url]))
  }
  await worker.ask(guest)
  await ioTurns()
  t.equal(await worker.leases(), 0)
})

const valid = {
  kind: 'lease',
  request: 2,
  lease: 9,
  ttl: 5_000,
  upstreams: [
    {
      url: 'http://127.0.0.1:1',
      insecure: false,
      headers: [
        'x-forwarded-for',
        '127.0.1.2',
        'x-instance-id',
        'i',
        'x-tenant-id',
        'p',
        'x-instance-id-signature',
        's',
      ],
    },
  ],
}
const [upstreamOf] = valid.upstreams
const withHeaders = (change: (headers: string[]) => void): unknown => {
  const headers = [...upstreamOf!.headers]
  change(headers)
  return { ...valid, upstreams: [{ ...upstreamOf, headers }] }
}

for (const [what, garbage] of [
  ['no JSON', 'nonsense\n'],
  ['no object', '[]\n'],
  ['an unknown kind', '{"kind":"secret"}\n'],
  ['a line without an end', 'x'.repeat(longestLeaseLine.ofAgent + 1)],
  ['a lease without upstreams', { ...valid, upstreams: [] }],
  ['a lease without an end', { ...valid, ttl: null }],
  ['a lease that is over', { ...valid, ttl: 0 }],
  ['an upstream with a path', { ...valid, upstreams: [{ ...upstreamOf, url: 'http://h/path' }] }],
  [
    'an upstream of another protocol',
    { ...valid, upstreams: [{ ...upstreamOf, url: 'file://h' }] },
  ],
  [
    'an endless patience with compute',
    { ...valid, upstreams: [{ ...upstreamOf, timeoutHeaders: 600_001 }] },
  ],
  ['no patience with compute', { ...valid, upstreams: [{ ...upstreamOf, timeoutBody: 0 }] }],
  ['another address', withHeaders((headers) => headers.splice(1, 1, '127.0.1.3'))],
  ['another header', withHeaders((headers) => headers.splice(2, 1, 'x-other'))],
  ['one header more', withHeaders((headers) => headers.push('host', 'x'))],
  ['a header in a header', withHeaders((headers) => headers.splice(3, 1, 'i\r\nx: y'))],
] as const) {
  t.test(`an agent that sends ${what} is trusted in nothing`, async (t) => {
    const { clock, giver, worker, agent } = await stage(t)
    const other = guestPort(2, { fixedIps: guest.fixedIps.map(() => '127.0.1.2' as never) })
    await worker.askUntilLeased(guest)
    const text = typeof garbage === 'string' ? garbage : `${JSON.stringify(garbage)}\n`
    giver.answer = () => giver.write(text)
    await worker.ask(other)
    await worker.untilLeases(0)
    t.equal((await worker.ask(guest)).status, 200)
    t.equal(await worker.direct(), 0)
    t.equal(agent.requests.length, 3)
    const before = giver.connections
    while (giver.connections === before) await clock.advance(200)
    t.pass('and is connected to again')
  })
}

t.test('a worker of an agent that leases nothing goes over the agent', async (t) => {
  const clock = new FakeClock()
  const agent = await RecordingAgent.start()
  t.teardown(() => agent.close())
  const worker = await LeaseWorker.start(t, {
    clock,
    agentSocket: agent.path,
    leaseSocket: `${agent.path}-that-is-not-there`,
  })
  for (let turn = 0; turn < 3; turn += 1) {
    t.equal((await worker.ask(guest)).status, 200)
    await clock.advance(5_000)
  }
  t.equal(await worker.direct(), 0)
  t.equal(agent.requests.length, 3)
})

t.test('a worker holds no more leases than it may, and gives up the oldest', async (t) => {
  const clock = new FakeClock()
  const giver = await LeaseGiver.start(t)
  const agent = await RecordingAgent.start()
  t.teardown(() => agent.close())
  giver.answer = (request) => {
    if (request.kind === 'request') giver.say(leaseFor(request, ['http://127.0.0.1:1']))
  }
  const worker = await LeaseWorker.start(t, {
    clock,
    agentSocket: agent.path,
    leaseSocket: giver.path,
    leases: 2,
  })
  while (giver.connections === 0) await ioTurns()
  for (let number = 1; number <= 5; number += 1) {
    const fixedIps = guest.fixedIps.map(() => `127.0.2.${number}` as never)
    await worker.ask(guestPort(number, { fixedIps }))
    while (giver.heard.length < number) await ioTurns()
    await ioTurns()
    t.ok((await worker.leases()) <= 2)
  }
  t.equal(await worker.leases(), 2)
})
