import t, { type Test } from 'tap'
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

async function subject(
  t: Test,
  all: readonly GuestNumbers[],
  options: { readonly concurrency: number; readonly bootRequests: number },
): Promise<Subject> {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  const guests = knownGuests(directory, all)
  const upstream = await GatedUpstream.start()
  t.teardown(() => upstream.close())
  const { concurrency, bootRequests } = options
  const agent = await startAgent(t, {
    clock,
    directory,
    upstreams: [upstream.url],
    config: {
      boot: { requests: bootRequests },
      compute: {
        concurrency_min: concurrency,
        concurrency_start: concurrency,
        concurrency,
      },
    },
  })
  return { clock, agent, upstream, directory, guests }
}

const documents = ['meta_data.json', 'user_data', 'vendor_data.json', 'network_data.json']

t.test(
  'a storm of guests with the same addresses: each gets its own, compute its share',
  async (t) => {
    const networks = 10
    const perNetwork = 10
    const all = Array.from({ length: networks * perNetwork }, (_, number) => ({
      guest: number + 1,
      project: (number % 4) + 1,
      network: (number % networks) + 1,
      address: `10.0.0.${Math.floor(number / networks) + 10}`,
    }))
    const { agent, upstream, directory, guests } = await subject(t, all, {
      concurrency: 16,
      bootRequests: 100,
    })

    const booting = guests.map(async (guest) => {
      const answers: (string | undefined)[] = []
      for (const document of documents) {
        const answer = await guest.ask(agent, `/openstack/latest/${document}`)
        answers.push(answer?.status === 200 ? answer.body.toString() : `${answer?.status}`)
      }
      return { guest, answers }
    })
    const served = upstream.releaseUntil(all.length * documents.length)
    const wrong = (await Promise.all(booting)).filter(({ guest, answers }) =>
      answers.some((answer) => answer !== guest.instanceId),
    )
    await served

    t.strictSame(wrong, [], 'nobody failed, nobody got what is another one’s')
    t.ok(upstream.most <= 16)
    t.equal(
      directory.questions('ports'),
      all.length,
      'one question for each guest, not for each request',
    )
    const { running, waiting } = await computeQueue(agent)
    t.strictSame({ running, waiting }, { running: 0, waiting: 0 })
  },
)

t.test('guests that boot go first; those that are up still get their part', async (t) => {
  const { agent, upstream, guests } = await subject(
    t,
    [
      { guest: 1, project: 1 },
      { guest: 2, project: 2 },
    ],
    { concurrency: 1, bootRequests: 40 },
  )
  const [poller, booting] = guests
  // Its boot is over after so many requests.
  for (let request = 0; request < 40; request += 1) {
    const asked = poller!.ask(agent)
    await upstream.releaseUntil(request + 1)
    await asked
  }

  const polls = [poller!.ask(agent)]
  await upstream.holding(1)
  for (let request = 0; request < 30; request += 1) polls.push(poller!.ask(agent))
  await untilWaiting(agent, 30)
  const boots = Array.from({ length: 30 }, () => booting!.ask(agent))
  await untilWaiting(agent, 60)
  await upstream.releaseUntil(41 + 60)
  await Promise.all([...polls, ...boots])

  const order = upstream.served.slice(41)
  const pollsAt = order.flatMap((one, index) => (one === poller!.instanceId ? [index] : []))
  t.strictSame(pollsAt.slice(0, 2), [12, 25], 'every thirteenth, while the others boot')
})

t.test('with several slots, guests that boot hold most of them', async (t) => {
  const { agent, upstream, guests } = await subject(
    t,
    [
      { guest: 1, project: 1 },
      { guest: 2, project: 2 },
      { guest: 3, project: 3 },
      { guest: 4, project: 4 },
      { guest: 5, project: 5 },
    ],
    { concurrency: 12, bootRequests: 60 },
  )
  const [poller, ...booting] = guests
  for (let request = 0; request < 60; request += 1) {
    const asked = poller!.ask(agent)
    await upstream.releaseUntil(request + 1)
    await asked
  }
  const polls = Array.from({ length: 60 }, () => poller!.ask(agent))
  await upstream.holding(9)
  await untilWaiting(agent, 51)
  const boots = Array.from({ length: 60 }, (_, number) => booting[number % 4]!.ask(agent))
  await upstream.holding(12)
  await untilWaiting(agent, 51 + 57)
  // The slots of the poller go over to the others as its requests end.
  await upstream.releaseUntil(60 + 9)
  await upstream.holding(12)
  const before = upstream.served.length
  await upstream.releaseUntil(before + 36)
  const polled = upstream.served.slice(before).filter((one) => one === poller!.instanceId).length
  t.ok(polled >= 1 && polled <= 6, `${polled} of 36`)
  await upstream.releaseUntil(60 + 120)
  await Promise.all([...polls, ...boots])
})

t.test('compute that reports overload gets less at a time', async (t) => {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  const [guest] = knownGuests(directory, [{ guest: 1, project: 1 }])
  const upstream = await GatedUpstream.start()
  t.teardown(() => upstream.close())
  const agent = await startAgent(t, { clock, directory, upstreams: [upstream.url] })
  t.equal((await computeQueue(agent)).limit, 32)

  const refused = Array.from({ length: 10 }, () => guest!.ask(agent))
  await upstream.holding(10)
  await clock.advance(100)
  for (let answer = 0; answer < 10; answer += 1) upstream.release(503)
  for (const answer of await Promise.all(refused)) t.equal(answer?.status, 503)
  t.equal((await computeQueue(agent)).limit, 22, 'once for all that were there together')
})
