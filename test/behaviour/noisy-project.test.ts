import t, { type Test } from 'tap'
import { ip, networkId } from '../conformance/topology.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { GatedUpstream } from '../support/gated-upstream.ts'
import {
  computeQueue,
  knownGuests,
  untilWaiting,
  type GuestNumbers,
  type NumberedGuest,
} from '../support/many-guests.ts'
import { ScriptedDirectory } from '../support/scripted-directory.ts'
import { startAgent, type RunningAgent } from '../support/start-agent.ts'

interface Subject {
  readonly clock: FakeClock
  readonly agent: RunningAgent
  readonly upstream: GatedUpstream
  readonly directory: ScriptedDirectory
  readonly guests: readonly NumberedGuest[]
}

/** So many requests may be on their way to compute; nobody counts as booting. */
async function subject(
  t: Test,
  concurrency: number,
  guests: readonly GuestNumbers[],
  config: { compute?: object; limits?: object } = {},
): Promise<Subject> {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  const known = knownGuests(directory, guests)
  const upstream = await GatedUpstream.start()
  t.teardown(() => upstream.close())
  const agent = await startAgent(t, {
    clock,
    directory,
    upstreams: [upstream.url],
    config: {
      boot: { requests: 0 },
      limits: { timeout_drain: '100ms', ...config.limits },
      compute: {
        concurrency_min: concurrency,
        concurrency_start: concurrency,
        concurrency,
        ...config.compute,
      },
    },
  })
  return { clock, agent, upstream, directory, guests: known }
}

const noisy = { guest: 1, project: 1 }

t.test('a project that hammers delays every other one by one turn', async (t) => {
  const others = [2, 3, 4, 5].map((number) => ({ guest: number, project: number }))
  const { agent, upstream, guests } = await subject(t, 1, [noisy, ...others])
  const [hammer, ...quiet] = guests

  const hammering = [hammer!.ask(agent)]
  await upstream.holding(1)
  for (let request = 0; request < 60; request += 1) hammering.push(hammer!.ask(agent))
  await untilWaiting(agent, 60)
  const asking = quiet.flatMap((guest) => [guest.ask(agent), guest.ask(agent)])
  await untilWaiting(agent, 68)
  await upstream.releaseUntil(11)

  for (const guest of quiet) {
    const first = upstream.served.indexOf(guest.instanceId)
    const second = upstream.served.indexOf(guest.instanceId, first + 1)
    t.ok(first >= 1 && first <= 5, 'its first request is served in the first round')
    t.ok(second >= 5 && second <= 10, 'its second one in the second round')
  }
  t.equal(upstream.most, 1)
  for (const answer of await Promise.all(asking)) t.equal(answer?.status, 200)
  await upstream.releaseUntil(69)
  for (const answer of await Promise.all(hammering)) {
    t.equal(answer?.body.toString(), hammer!.instanceId, 'and the noisy one gets its own as well')
  }
})

t.test('a project whose requests never end leaves slots for the others', async (t) => {
  const { agent, upstream, guests } = await subject(t, 8, [
    noisy,
    { guest: 2, project: 2 },
    { guest: 3, project: 3 },
  ])
  const [slow, second, third] = guests

  const hanging = Array.from({ length: 40 }, () => slow!.ask(agent))
  await upstream.holding(6)
  await untilWaiting(agent, 34)
  const quick = [second!.ask(agent), third!.ask(agent)]
  await upstream.holding(8)
  t.equal((await computeQueue(agent)).waiting, 34, 'they did not have to wait')

  for (let served = 0; served < 42; served += 1) {
    await upstream.holding(1)
    upstream.release()
  }
  for (const answer of await Promise.all([...quick, ...hanging])) t.equal(answer?.status, 200)
  t.equal(upstream.most, 8)
})

t.test('an instance that hammers delays its siblings by one turn', async (t) => {
  const { agent, upstream, guests } = await subject(t, 1, [noisy, { guest: 2, project: 1 }])
  const [hammer, sibling] = guests

  const hammering = [hammer!.ask(agent)]
  await upstream.holding(1)
  for (let request = 0; request < 20; request += 1) hammering.push(hammer!.ask(agent))
  await untilWaiting(agent, 20)
  const asked = sibling!.ask(agent)
  await untilWaiting(agent, 21)
  await upstream.releaseUntil(3)

  t.ok(upstream.served.indexOf(sibling!.instanceId) <= 2)
  t.equal((await asked)?.status, 200)
  await upstream.releaseUntil(22)
  await Promise.all(hammering)
})

t.test('when the queue is full, those who fill it get Retry-After', async (t) => {
  const { agent, upstream, guests } = await subject(t, 1, [noisy, { guest: 2, project: 2 }], {
    compute: { queue: 10, queue_per_project: 10, queue_retry_after: '4s' },
  })
  const [hammer, quiet] = guests

  const hammering = [hammer!.ask(agent)]
  await upstream.holding(1)
  for (let request = 0; request < 10; request += 1) hammering.push(hammer!.ask(agent))
  await untilWaiting(agent, 10)
  const tooMany = await hammer!.ask(agent)
  t.equal(tooMany?.status, 503)
  t.equal(tooMany?.field('x-overlapd-reason'), 'overloaded')
  t.ok([1, 2, 3, 4].includes(Number(tooMany?.field('retry-after'))))

  const asked = quiet!.ask(agent)
  const shed = await Promise.any(
    hammering.map(async (one) => {
      const answer = await one
      if (answer?.status !== 503) throw new Error('served')
      return answer
    }),
  )
  t.equal(shed.field('x-overlapd-reason'), 'overloaded', 'one of the noisy ones gives way')
  await upstream.releaseUntil(11)
  t.equal((await asked)?.status, 200)
  const statuses = (await Promise.all(hammering)).map((answer) => answer?.status)
  t.equal(statuses.filter((status) => status === 200).length, 10)
  t.match(await agent.text('/metrics'), /overlapd_agent_compute_shed_total\{why="queue_full"\} 2/)
})

t.test('whoever waited too long gets Retry-After', async (t) => {
  const { clock, agent, upstream, guests } = await subject(t, 1, [noisy], {
    compute: { timeout_queue: '6s' },
  })
  const [guest] = guests

  const first = guest!.ask(agent)
  await upstream.holding(1)
  const second = guest!.ask(agent)
  await untilWaiting(agent, 1)
  await clock.advance(5_999)
  t.equal((await computeQueue(agent)).waiting, 1)
  await clock.advance(1)
  const answer = await second
  t.equal(answer?.status, 503)
  t.equal(answer?.field('x-overlapd-reason'), 'overloaded')
  t.ok(Number(answer?.field('retry-after')) >= 1)
  upstream.release()
  t.equal((await first)?.status, 200)
})

t.test(
  'guests that leave give their place up at once, and compute never receives them',
  async (t) => {
    const { agent, upstream, guests } = await subject(t, 1, [noisy, { guest: 2, project: 2 }])
    const [hammer, quiet] = guests

    const first = hammer!.ask(agent)
    await upstream.holding(1)
    const connections = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const connection = await agent.connect()
        const lines = hammer!.fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
        await connection.write(`GET /latest HTTP/1.1\r\nHost: x\r\n${lines}\r\n`)
        return connection
      }),
    )
    await untilWaiting(agent, 20)
    for (const connection of connections) connection.close()
    await untilWaiting(agent, 0)
    const asked = quiet!.ask(agent)
    await upstream.releaseUntil(2)
    t.equal((await first)?.status, 200)
    t.equal((await asked)?.status, 200)
    t.strictSame(upstream.served, [hammer!.instanceId, quiet!.instanceId])
  },
)

t.test('a network that invents addresses leaves the port directory to the others', async (t) => {
  const { agent, directory, upstream, guests } = await subject(
    t,
    4,
    [{ guest: 1, project: 1, network: 2 }],
    { limits: { lookups: 50, lookups_per_scope: 10 } },
  )
  const release = directory.hold()
  const inventing = Array.from({ length: 30 }, (_, number) =>
    agent.ask('/', [
      ['X-Neutron-Network-ID', networkId(1)],
      ['X-Forwarded-For', ip(`10.9.0.${number}`)],
    ]),
  )
  const statuses = new Map<number | undefined, number>()
  const counted = inventing.map(async (one) => {
    const status = (await one)?.status
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  })
  while ((statuses.get(503) ?? 0) < 20) await new Promise((resolve) => setImmediate(resolve))

  const asked = guests[0]!.ask(agent)
  // The other network has its question beside the ten.
  while ((await agent.agent.status()).cache.openQueries < 11) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  release()
  await upstream.releaseUntil(1)
  t.equal((await asked)?.body.toString(), guests[0]!.instanceId)
  await Promise.all(counted)
  t.strictSame(Object.fromEntries(statuses), { 404: 10, 503: 20 })
})
