/** Can the answer to one guest, or a part of it, ever reach another over a connection that both used? */
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { guestPort, startLeasePair } from '../support/lease-pair.ts'
import { guestFields, startAgentForOneGuest } from '../support/one-guest.ts'
import { get, RawConnection, type RawAnswer } from '../support/raw-http.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { networkIdentity, routerIdentity, startWorker } from '../support/start-worker.ts'
import { WireUpstream, type WireRequest } from '../support/wire-upstream.ts'

/** What must never be read as the answer to anybody else. */
const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL'
const own = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nOWN'

interface Attack {
  readonly what: string
  readonly method?: 'GET' | 'HEAD'
  /** Answers the first guest. */
  readonly first: string
  /** Comes once the first guest has its answer, while nobody asks. */
  readonly idle?: string
  /** Comes when the second guest has asked on the same connection. */
  readonly late?: string
}

const attacks: readonly Attack[] = [
  {
    what: 'HEAD is answered with a body at once',
    method: 'HEAD',
    first: `HTTP/1.1 200 OK\r\nContent-Length: ${evil.length}\r\n\r\n${evil}`,
  },
  {
    what: 'HEAD is answered with a body when nobody asks',
    method: 'HEAD',
    first: `HTTP/1.1 200 OK\r\nContent-Length: ${evil.length}\r\n\r\n`,
    idle: evil,
  },
  {
    what: 'HEAD is answered with a body when the next one asks',
    method: 'HEAD',
    first: `HTTP/1.1 200 OK\r\nContent-Length: ${evil.length}\r\n\r\n`,
    late: evil,
  },
  {
    what: 'HEAD is answered with chunks when the next one asks',
    method: 'HEAD',
    first: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    late: evil,
  },
  { what: 'two answers come to one question', first: own + evil },
  { what: 'another answer comes when nobody asks', first: own, idle: evil },
  { what: 'bytes that are none come when nobody asks', first: own, idle: 'x' },
  {
    what: 'more comes than the length says',
    first: `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nOWN${evil}`,
  },
  { what: '204 has a body', first: `HTTP/1.1 204 No Content\r\n\r\n${evil}` },
  {
    what: '304 has a body',
    first: `HTTP/1.1 304 Not Modified\r\nContent-Length: ${evil.length}\r\n\r\n${evil}`,
  },
  {
    what: 'the connection becomes another protocol',
    first: `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n${evil}`,
  },
  {
    what: 'the length is given in two ways',
    first: `HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nOWN\r\n0\r\n\r\n${evil}`,
  },
  {
    what: 'the length is given twice',
    first: `HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: ${evil.length + 3}\r\n\r\nOWN${evil}`,
  },
  {
    what: 'the length is a list',
    first: `HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nOWN${evil}`,
  },
  {
    what: 'the length has a sign',
    first: `HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nOWN${evil}`,
  },
  {
    what: 'the length is more than can be counted',
    first: `HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551619\r\n\r\nOWN${evil}`,
  },
  {
    what: 'the length is a broken number',
    first: `HTTP/1.1 200 OK\r\nContent-Length: 3x\r\n\r\nOWN${evil}`,
  },
  {
    what: 'the length has a space before its colon',
    first: `HTTP/1.1 200 OK\r\nContent-Length : 300\r\nContent-Length: 3\r\n\r\nOWN${evil}`,
  },
  {
    what: 'the length goes on in the next line',
    first: `HTTP/1.1 200 OK\r\nContent-Length:\r\n 3\r\n\r\nOWN${evil}`,
  },
  {
    what: 'the coding is none that is known',
    first: `HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nOWN${evil}`,
  },
  {
    what: 'chunked is not the last coding',
    first: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n3\r\nOWN\r\n0\r\n\r\n${evil}`,
  },
  {
    what: 'the coding is given twice',
    first: `HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nOWN\r\n0\r\n\r\n${evil}`,
  },
  {
    what: 'a chunk has a size that is no number',
    first: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nOWN\r\n0\r\n\r\n${evil}`,
  },
  {
    what: 'a chunk is larger than can be counted',
    first: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nOWN\r\n0\r\n\r\n${evil}`,
  },
  {
    what: 'a chunk is followed by something else than its end',
    first: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nOWNXX0\r\n\r\n${evil}`,
  },
  {
    what: 'the last chunk has fields and an answer behind it',
    first: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nOWN\r\n0\r\nX-Evil: EVIL\r\n\r\n${evil}`,
  },
  {
    what: 'it has said that it closes and goes on',
    first: own.replace('\r\n', '\r\nConnection: close\r\n'),
    late: evil,
  },
  {
    what: 'it speaks HTTP/1.0 and goes on',
    first: own.replace('HTTP/1.1', 'HTTP/1.0'),
    late: evil,
  },
  {
    what: 'it speaks a later version',
    first: own.replace('HTTP/1.1', 'HTTP/2.0') + evil,
  },
  { what: 'it answers in no HTTP at all', first: `EVIL\r\n\r\n${evil}` },
  {
    what: 'lines end in bare line feeds in the middle of a head',
    first: `HTTP/1.1 200 OK\r\nContent-Length: 3\nX-Evil: 1\r\n\r\nOWN${evil}`,
  },
  {
    what: 'a field holds a zero byte',
    first: `HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: a\0b\r\n\r\nOWN${evil}`,
  },
  {
    what: 'a hundred answers that are none yet come first',
    first: `${'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'.repeat(100)}${own}${evil}`,
  },
]

/** Two guests whose requests can go over the same connection to the same upstream. */
interface Hop {
  readonly upstream: WireUpstream
  connect(guest: 'first' | 'second'): Promise<RawConnection>
  /** What stands in each request besides. */
  readonly lines?: readonly string[]
}

const hops: readonly { readonly name: string; readonly start: (t: Test) => Promise<Hop> }[] = [
  { name: 'from a worker to its agent', start: workerToAgent },
  { name: 'from a worker under a lease to compute', start: workerToCompute },
  { name: 'from the agent to compute', start: agentToCompute },
]

/** Some answers never end. */
const patience = 1_000
const impatient = { connections: 1, timeout_headers: '1s', timeout_body: '1s' }

async function workerToAgent(t: Test): Promise<Hop> {
  const path = join(scratchFolder(t), 'agent.sock')
  const upstream = await WireUpstream.start(path)
  const worker = await startWorker({
    agentSocket: path,
    agent: { connections: 1, timeoutHeaders: patience, timeoutBody: patience },
    identities: [routerIdentity, networkIdentity],
  })
  t.teardown(async () => {
    await worker.stop()
    await upstream.close()
  })
  return {
    upstream,
    connect: (guest) => RawConnection.open(worker.targets[guest === 'first' ? 0 : 1]!),
  }
}

async function workerToCompute(t: Test): Promise<Hop> {
  const upstream = await WireUpstream.start()
  t.teardown(() => upstream.close())
  upstream.answer = ({ socket }) => void socket.write(own)
  const { directory, worker } = await startLeasePair(t, {
    connections: 1,
    config: { compute: { upstreams: [upstream.url], ...impatient } },
  })
  const first = guestPort(1)
  const second = guestPort(2, { fixedIps: ['127.0.1.2' as (typeof first.fixedIps)[number]] })
  directory.setPorts(first, second)
  directory.remember()
  await worker.askUntilLeased(first)
  await worker.askUntilLeased(second)
  return {
    upstream,
    connect: (guest) => worker.connectAs(guest === 'first' ? first : second),
  }
}

async function agentToCompute(t: Test): Promise<Hop> {
  const upstream = await WireUpstream.start()
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, {
    upstreams: [upstream.url],
    config: { compute: impatient },
  })
  const lines = guestFields.map(([name, value]) => `${name}: ${value}`)
  return { upstream, lines, connect: () => agent.connect() }
}

async function ask(
  { connect, lines = [] }: Hop,
  guest: 'first' | 'second',
  method: 'GET' | 'HEAD' = 'GET',
): Promise<RawAnswer | undefined> {
  const connection = await connect(guest)
  void connection.write(get('/latest', ...lines).replace('GET', method))
  const answer = await connection.answer({ isHead: method === 'HEAD' })
  connection.close()
  return answer
}

/** Is answered so that the first request of the two gets `first`, and the second `late` before its own on the same connection. */
function answerBoth(
  upstream: WireUpstream,
  { first, late = '' }: Pick<Attack, 'first' | 'late'>,
): { readonly asked: WireRequest | undefined } {
  const seen = upstream.requests.length
  upstream.answer = ({ socket }) => {
    const isFirst = upstream.requests.length === seen + 1
    const isReused = !isFirst && socket === upstream.requests[seen]?.socket
    socket.write(isFirst ? first : (isReused ? late : '') + own)
  }
  return {
    get asked() {
      return upstream.requests[seen]
    },
  }
}

/** Where an endpoint is left alone after such answers, a hop for each attack. */
async function hopsFrom(start: (t: Test) => Promise<Hop>, t: Test): Promise<() => Promise<Hop>> {
  if (start === workerToCompute) return () => start(t)
  const only = await start(t)
  return () => Promise.resolve(only)
}

async function someTurns(): Promise<void> {
  for (let count = 0; count < 10; count += 1) await turn()
}

function shown(answer: RawAnswer | undefined): string {
  return `${answer?.head}\n${answer?.body.toString('latin1')}`
}

for (const { name, start } of hops) {
  t.test(name, async (t) => {
    const next = await hopsFrom(start, t)
    for (const attack of attacks) {
      const { what, method = 'GET', idle } = attack
      const hop = await next()
      const wire = answerBoth(hop.upstream, attack)

      const before = await ask(hop, 'first', method)
      const { asked } = wire
      if (idle !== undefined && asked?.socket.writable === true) {
        const dropped = new Promise((resolve) => asked.socket.once('close', resolve))
        asked.socket.write(idle)
        await dropped
      }
      await someTurns()
      const after = await ask(hop, 'second')

      if (method !== 'HEAD') t.notMatch(shown(before), /EVIL/, `${what}: the first gets its own`)
      t.notMatch(shown(after), /EVIL/, `${what}: the second gets nothing of it`)
      t.equal(after?.body.toString(), 'OWN', `${what}: and is served`)
    }
  })

  t.test(`${name}, when the first guest leaves`, async (t) => {
    const whole = `HTTP/1.1 200 OK\r\nContent-Length: ${evil.length}\r\n\r\n${evil}`
    const chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${evil.length.toString(16)}\r\n${evil}\r\n0\r\n\r\n`
    const next = await hopsFrom(start, t)
    for (const answer of [whole, chunked]) {
      const bodyBegins = answer.indexOf('\r\n\r\n') + 4
      for (const cut of [0, 9, bodyBegins, bodyBegins + 4, answer.length - 1]) {
        const what = `after ${cut} of ${answer.length} bytes`
        const hop = await next()
        const wire = answerBoth(hop.upstream, {
          first: answer.slice(0, cut),
          late: answer.slice(cut),
        })
        const connection = await hop.connect('first')
        const known = hop.upstream.requests.length
        void connection.write(get('/latest', ...(hop.lines ?? [])))
        while (hop.upstream.requests.length === known) await turn()
        await someTurns()
        connection.reset()
        await someTurns()

        const after = await ask(hop, 'second')

        t.ok(wire.asked)
        t.notMatch(shown(after), /EVIL/, what)
        t.equal(after?.body.toString(), 'OWN', `${what}: and is served`)
      }
    }
  })
}
