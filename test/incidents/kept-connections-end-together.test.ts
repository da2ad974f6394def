// Compute closed connections that were kept for it, several at once, in the moment in which they were used. A request that was cut off on
// one of them was sent again over another of them, and its guest got 502 compute_cut_off. Right: what was not answered on a kept connection
// is sent again on a new one, guests get their answers, and the endpoint is none the worse.
import t, { type Test } from 'tap'
import type { AgentStatus } from '../../lib/operator/api/agent-api.ts'
import { guestPort, startLeasePair } from '../support/lease-pair.ts'
import { guestFields, startAgentForOneGuest, type OneGuest } from '../support/one-guest.ts'
import { WireUpstream, type WireRequest } from '../support/wire-upstream.ts'

type Socket = WireRequest['socket']

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const partOfHead = 'HTTP/1.1 200 O'
const kept = 3

/** How the connection ends on which a request has just come. */
const ends: Readonly<Record<string, (socket: Socket) => void>> = {
  'by its end': (socket) => socket.end(),
  'by a reset': (socket) => socket.resetAndDestroy(),
  'by its end and a reset': (socket) => socket.end(() => socket.resetAndDestroy()),
  'after part of a head': (socket) => socket.end(partOfHead),
  'by a reset after part of a head': (socket) =>
    socket.write(partOfHead, () => socket.resetAndDestroy()),
}

/** A compute service that keeps connections, and ends them when it is used once more. */
class Compute {
  readonly upstream: WireUpstream
  /** Connections that were ended under a request. */
  ended = 0

  private constructor(upstream: WireUpstream) {
    this.upstream = upstream
    upstream.answer = ({ socket }) => socket.write(ok)
  }

  static async start(t: Test): Promise<Compute> {
    const upstream = await WireUpstream.start()
    t.teardown(() => upstream.close())
    return new Compute(upstream)
  }

  get requests(): number {
    return this.upstream.requests.length
  }

  /** From now on each request on a connection that has had one ends the connection. */
  endKept(end: (socket: Socket) => void): void {
    this.upstream.requests.length = 0
    this.upstream.answer = ({ socket, place }) => {
      if (place === 1) {
        socket.write(ok)
        return
      }
      this.ended += 1
      end(socket)
    }
  }

  /** Requests that come at once are answered when all are there, so that each has a connection, which is kept. */
  async keepConnections({ agent }: OneGuest): Promise<void> {
    const { upstream } = this
    upstream.requests.length = 0
    upstream.answer = () => {
      if (this.requests !== kept) return
      for (const { socket } of upstream.requests) socket.write(ok)
    }
    await Promise.all(Array.from({ length: kept }, () => agent.ask('/keep', guestFields)))
  }
}

/** As many requests as connections were kept; all over again when those have aged before the first, as on a busy machine. */
async function useKept(
  t: Test,
  guest: OneGuest,
  compute: Compute,
  end: (socket: Socket) => void,
): Promise<void> {
  while (compute.ended === 0) {
    await compute.keepConnections(guest)
    compute.endKept(end)
    for (let round = 0; round < kept; round += 1) {
      t.equal((await guest.agent.ask('/latest', guestFields))?.status, 200)
    }
  }
}

async function failuresOf({ agent }: OneGuest): Promise<readonly number[]> {
  return ((await agent.json('/status')) as AgentStatus).upstreams.map(({ failures }) => failures)
}

for (const [how, end] of Object.entries(ends)) {
  t.test(`over the agent, ${how}`, async (t) => {
    const compute = await Compute.start(t)
    const guest = await startAgentForOneGuest(t, { upstreams: [compute.upstream.url] })

    await useKept(t, guest, compute, end)

    t.equal(compute.requests, kept + compute.ended, 'each is sent once more at the most')
    t.strictSame(await failuresOf(guest), [0])
  })

  t.test(`over the agent with a second endpoint, ${how}`, async (t) => {
    const [first, second] = [await Compute.start(t), await Compute.start(t)]
    const upstreams = [first.upstream.url, second.upstream.url]
    const guest = await startAgentForOneGuest(t, { upstreams })

    await useKept(t, guest, first, end)

    t.equal(second.requests, first.ended)
    t.strictSame(await failuresOf(guest), [0, 0])
  })

  t.test(`over the agent while the second endpoint is away, ${how}`, async (t) => {
    const [first, second] = [await Compute.start(t), await WireUpstream.start()]
    const upstreams = [first.upstream.url, second.url]
    await second.close()
    const guest = await startAgentForOneGuest(t, { upstreams })

    await useKept(t, guest, first, end)

    t.strictSame(await failuresOf(guest), [0, 1], 'the second is tried once, then it is known')
  })

  t.test(`under a lease, ${how}`, async (t) => {
    const compute = await Compute.start(t)
    const { directory, worker } = await startLeasePair(t, {
      config: { compute: { upstreams: [compute.upstream.url] } },
    })
    const port = guestPort(1)
    directory.setPorts(port)
    directory.remember()
    await worker.askUntilLeased(port)

    const handedBack = (): Promise<number> =>
      worker.metric('overlapd_proxy_direct_handed_back_total')
    while ((await handedBack()) === 0) {
      t.equal((await worker.ask(port)).status, 200)
      compute.endKept(end)
      t.equal((await worker.ask(port)).status, 200)
      t.equal(compute.requests, 1 + compute.ended)
    }

    t.match(await worker.forwarding(), { way: 'compute' })
  })
}
