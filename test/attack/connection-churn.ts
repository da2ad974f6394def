import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { SeededRandom } from '../support/random.ts'
import { get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent, type RecordedRequest } from '../support/recording-agent.ts'
import { startWorker, type StartedWorker } from '../support/start-worker.ts'
import { until } from '../support/until.ts'
import type { AttackClass, AttackContext } from './attack-class.ts'

/** Guests at once, each with an address of its own. */
const guests: Count = 24
/** A guest leaves its connection after this, whatever came. */
const patience: Milliseconds = 1_500
/** What a worker has to give everything back in; its own connections to the agent last the longest. */
const settled: Milliseconds = 20_000
/** More than a kernel takes for a client that does not read. */
const longAnswer = 'x'.repeat(8 * 1024 * 1024)

/** Connections of a real worker that end at any moment, in any order: descriptors, bytes and identities afterwards. */
export const connectionChurn: AttackClass = {
  name: 'connection-churn',
  what: 'guests that reset, half-close, send parts and read slowly: no descriptor or byte stays, no answer is another guest’s',
  needsRoot: false,
  forwarding: ['agent'],
  async run(context) {
    const { t, report } = context
    const agent = await RecordingAgent.start()
    t.teardown(() => agent.close())
    agent.answer = (request) => answerTo(agent, request)
    const limits = { timeoutHead: 700, timeoutRequest: 1_000, timeoutKeepAlive: 500 }
    const worker = await startWorker({ agentSocket: agent.path, limits, host: '127.0.0.1' })
    t.teardown(() => worker.stop())
    await (await openAt(worker, 250)).rest()
    const before = descriptorsOf(worker)
    context.begin()
    const lanes = Array.from({ length: guests }, (_value, lane) => churn(context, worker, lane + 1))
    await Promise.all(lanes)
    await settle(context, worker, before)
    if (!worker.isRunning) report.fault('crashed', 'the worker')
    else if ((await worker.metric('overlapd_proxy_defects_total')) > 0) {
      report.fault('wrong', 'a defect was counted')
    }
  },
}

/** Says whose the request is, so that a mixed-up descriptor shows. */
function answerTo(agent: RecordingAgent, request: RecordedRequest): Buffer | undefined {
  agent.requests.length = 0
  const { target, socket } = request
  const [address = ''] = request.valuesOf('x-forwarded-for')
  // Then descriptors of the worker's own connections are given again to guests.
  if (target.startsWith('/last')) {
    socket.end(plainAnswer(`${address} ${target}`, 'Connection: close'))
    return undefined
  }
  if (target.startsWith('/late')) {
    setTimeout(() => socket.write(plainAnswer(`${address} ${target}`)), 60)
    return undefined
  }
  return plainAnswer(`${address} ${target}${target.startsWith('/long') ? ` ${longAnswer}` : ''}`)
}

function addressOf(lane: number): string {
  return `127.0.1.${lane}`
}

async function openAt({ target }: StartedWorker, lane: number): Promise<RawConnection> {
  const { host, tcpPort: port } = target
  const options = { host, port, localAddress: addressOf(lane), allowHalfOpen: true, noDelay: true }
  const guest = await RawConnection.over(connect(options))
  if (lane === 250) void guest.write(get('/first', 'Connection: close'))
  return guest
}

async function churn(context: AttackContext, worker: StartedWorker, lane: number): Promise<void> {
  const { report, random } = context
  for (let visit = 0; !context.isOver() && worker.isRunning; visit += 1) {
    report.tried()
    const guest = await openAt(worker, lane).catch(() => undefined)
    if (guest === undefined) report.count('connections refused')
    else await visitOnce(guest, random, `${lane}-${visit}`, addressOf(lane), report)
  }
}

/** One connection, from its first piece to whichever end. */
async function visitOnce(
  guest: RawConnection,
  random: SeededRandom,
  name: string,
  address: string,
  report: AttackContext['report'],
): Promise<void> {
  const kind = random.pick([
    'plain-',
    'plain-',
    'plain-',
    'late-',
    'late-',
    'last-',
    'last-',
    'long-',
  ])
  const count = 1 + random.below(3)
  const targets = Array.from({ length: count }, (_value, place) => `/${kind}${name}-${place}`)
  const bytes = targets.map((target) => requestTo(random, target)).join('')
  const isSlow = random.chance(20)
  if (isSlow) guest.socket.pause()
  await sendPieces(guest, random, bytes)
  const ending = random.pick(['reads', 'reads', 'half-closes', 'leaves', 'resets', 'resets late'])
  report.count(ending)
  if (ending === 'leaves') guest.close()
  if (ending === 'resets') guest.reset()
  if (ending === 'half-closes') guest.socket.end()
  if (ending === 'resets late') {
    await pause(random.below(80))
    guest.reset()
  }
  if (isSlow) await pause(random.below(200))
  guest.socket.resume()
  const giveUp = setTimeout(() => guest.reset(), patience)
  for (const target of targets) {
    const answer = await guest.answer()
    if (answer === undefined) break
    const isOwn = answer.body.toString('latin1', 0, 64).startsWith(`${address} ${target}`)
    if (answer.status !== 200) report.count(`status ${answer.status}`)
    else if (!isOwn) report.fault('wrong', 'an answer to somebody else’s request')
    else report.count('answers')
  }
  clearTimeout(giveUp)
  guest.close()
}

function requestTo(random: SeededRandom, target: string): string {
  if (random.chance(80)) return get(target)
  const head = `POST ${target} HTTP/1.1\r\nHost: a\r\n`
  return random.chance(50)
    ? `${head}Content-Length: 3\r\n\r\nabc`
    : `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`
}

/** All of it, or a part only; at once, or in pieces. */
async function sendPieces(
  guest: RawConnection,
  random: SeededRandom,
  bytes: string,
): Promise<void> {
  const end = random.chance(70) ? bytes.length : random.below(bytes.length)
  const middle = random.chance(50) ? end : random.below(end + 1)
  void guest.write(bytes.slice(0, middle))
  if (middle === end) return
  if (random.chance(50)) await pause(random.below(40))
  void guest.write(bytes.slice(middle, end))
}

function descriptorsOf({ pid }: StartedWorker): Count {
  return readdirSync(`/proc/${pid}/fd`).length
}

async function settle(
  { report }: AttackContext,
  worker: StartedWorker,
  before: Count,
): Promise<void> {
  const latest = performance.now() + settled
  const left = async (): Promise<string | undefined> => {
    const open = await worker.metric('overlapd_proxy_connections_open')
    const held = await worker.metric('overlapd_proxy_held_bytes')
    const more = descriptorsOf(worker) - before
    return open > 0 || held > 0 || more > 0
      ? `${open} connections, ${held} bytes and ${more} descriptors stay`
      : undefined
  }
  await until(
    async () => !worker.isRunning || performance.now() > latest || (await left()) === undefined,
    100,
  )
  const stays = worker.isRunning ? await left() : undefined
  if (stays !== undefined) report.fault('wrong', stays)
}
