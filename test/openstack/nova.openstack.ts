import t, { type Test } from 'tap'
import { runningCloud, type Guest } from './cloud.ts'
import { startDaemon, stopDaemon } from './daemon.ts'
import { comparable, genuineDocuments } from './genuine-documents.ts'
import { portsSections, startAgent, type OurAgent } from './overlapd.ts'
import { urlOf } from './place.ts'
import { addResult } from './results.ts'
import { novaReady, type NovaServer } from './services/nova.ts'

const { place, guests } = runningCloud()
const ports = portsSections.neutronRest(place)
const servers: readonly NovaServer[] = ['novaUwsgi', 'novaEventlet']

function headersOf({ network, instance }: Guest): Record<string, string> {
  return {
    'x-forwarded-for': instance.port.ip,
    ...(network.routerId === undefined
      ? { 'x-neutron-network-id': network.id }
      : { 'x-neutron-router-id': network.routerId }),
  }
}

for (const server of servers) {
  t.test(`${server}: each guest gets its own documents, again and again`, async (t) => {
    const agent = startAgent(t, place, { ports, upstreams: [urlOf(place, server)] })
    await agent.untilReady()
    for (const guest of guests) {
      const genuine = await genuineDocuments(place, guest.instance, server)
      const rounds = Array.from({ length: 5 }, async () => {
        for (const [path, expected] of genuine) {
          const answer = await agent.ask('ml2', headersOf(guest), path)
          t.equal(answer.status, 200, path)
          t.equal(comparable(path, answer.body), expected, path)
        }
      })
      await Promise.all(rounds)
    }
  })
}

/** Guests that ask all the time, and what they were answered. */
class Load {
  readonly statuses = new Map<string, number>()
  wrong = 0
  #isOver = false
  readonly #all: Promise<void>

  constructor(agent: OurAgent, width: number) {
    const pollPause = async (index: number): Promise<void> => {
      const guest = guests[index % guests.length]
      if (guest === undefined) return
      while (!this.#isOver) {
        const answer = await agent.ask('ml2', headersOf(guest), '/latest/user-data')
        const isOwn = answer.body === guest.instance.userData
        if (answer.status === 200 && !isOwn) this.wrong += 1
        const { status, reason, retryAfter } = answer
        const waits = retryAfter === undefined ? '' : ', Retry-After'
        const key = reason === undefined ? `${status}` : `${status} ${reason}${waits}`
        this.statuses.set(key, (this.statuses.get(key) ?? 0) + 1)
      }
    }
    this.#all = Promise.all(Array.from({ length: width }, (_, index) => pollPause(index))).then(
      () => undefined,
    )
  }

  has(key: string): boolean {
    return this.statuses.has(key)
  }

  async end(): Promise<void> {
    this.#isOver = true
    await this.#all
  }

  text(): string {
    return [...this.statuses].map(([key, count]) => `${count} × ${key}`).join('; ')
  }
}

async function restart(t: Test, server: NovaServer, during: () => Promise<void>): Promise<void> {
  await stopDaemon(place, server)
  try {
    await during()
  } finally {
    startDaemon(place, server)
    await novaReady(place, server)
  }
  t.pass(`${server} is back`)
}

for (const server of servers) {
  t.test(`${server}: restarted under load, guests get Retry-After`, async (t) => {
    const agent = startAgent(t, place, { ports, upstreams: [urlOf(place, server)] })
    await agent.untilReady()
    const load = new Load(agent, 6)
    const refusal = '503 compute_unreachable, Retry-After'
    await agent.until('answers', async () => load.has('200'))
    await restart(t, server, async () => {
      await agent.until('refusals', async () => load.has(refusal))
    })
    load.statuses.delete('200')
    await agent.until('answers again', async () => load.has('200'))
    await load.end()
    t.equal(load.wrong, 0, 'nobody got the data of another')
    t.strictSame(
      // What was cut off at the moment of the end cannot be told from a request at which compute dies.
      [...load.statuses.keys()].filter(
        (key) => key !== '200' && !/^50(?:3 .*|2 compute_cut_off), Retry-After$/.test(key),
      ),
      [],
      `only 200, or a refusal with Retry-After: ${load.text()}`,
    )
    addResult(place, 'Nova restarted under load', { upstreams: server, answers: load.text() })
  })
}

t.test('with two endpoints, no guest notices that one is restarted', async (t) => {
  const agent = startAgent(t, place, {
    ports,
    upstreams: servers.map((server) => urlOf(place, server)),
  })
  await agent.untilReady()
  const load = new Load(agent, 6)
  await agent.until('answers', async () => load.has('200'))
  await restart(t, 'novaUwsgi', async () => {
    await agent.until('the second endpoint in use', async () => {
      const { upstreams } = await agent.status()
      return upstreams.some(
        ({ url, answers }) => url === urlOf(place, 'novaEventlet') && answers > 20,
      )
    })
  })
  await load.end()
  t.equal(load.wrong, 0, 'nobody got the data of another')
  t.strictSame([...load.statuses.keys()], ['200'], `only 200: ${load.text()}`)
  addResult(place, 'Nova restarted under load', { upstreams: 'both', answers: load.text() })
})

t.test('a shared secret that differs shows in the status', async (t) => {
  for (const server of servers) {
    const agent = startAgent(t, place, {
      ports,
      upstreams: [urlOf(place, server)],
      secret: 'another secret',
    })
    await agent.untilReady()
    const [guest] = guests
    const answer = await agent.ask('ml2', headersOf(guest!))
    t.equal(answer.status, 403, `${server} refuses the signature`)
    t.match((await agent.status()).upstreams, [{ refusesSecrets: true }], 'an operator sees why')
  }
})
