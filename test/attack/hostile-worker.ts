import { PassThrough } from 'node:stream'
import { systemClock } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { JsonLineChannel } from '../../lib/wire/json-line-channel.ts'
import { agentStatuses } from '../../proxy/admin/agent-status.ts'
import { explainedRequest } from '../../proxy/admin/explain-request.ts'
import { WorkerMetricsSum } from '../../proxy/supervisor/worker-metrics.ts'
import { WorkerMetrics } from '../../proxy/worker/shared/metrics.ts'
import { readFromWorker } from '../../proxy/worker/shared/read-from-worker.ts'
import type { SeededRandom } from '../support/random.ts'
import type { AttackClass, AttackContext } from './attack-class.ts'

/** Messages of hostile code in a worker's place, before everything in the supervisor that reads them. */
export const hostileWorker: AttackClass = {
  name: 'hostile-worker',
  what: 'mutated messages and raw bytes of a worker: the channel, the reader, and what is made of them',
  needsRoot: false,
  forwarding: ['agent'],
  async run(context) {
    while (!context.isOver()) await sendSome(context)
  },
}

/** Below what counts as a flood. */
const linesAtOnce = 200

async function sendSome({ random, report }: AttackContext): Promise<void> {
  const input = new PassThrough()
  const channel = new JsonLineChannel({
    input,
    output: new PassThrough(),
    longestLine: 65_536,
    clock: systemClock,
    onValue: (value) => {
      try {
        use(value, () => report.count('read'))
      } catch (cause) {
        report.fault('crashed', `${causeText(cause)} on ${JSON.stringify(value).slice(0, 300)}`)
      }
    },
    onEnd: () => report.count('channels ended'),
  })
  for (let sent = 0; sent < linesAtOnce && !input.destroyed; sent += 1) {
    report.tried()
    input.write(random.chance(2) ? rawBytes(random) : `${JSON.stringify(mutatedMessage(random))}\n`)
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
  const text = await sum.sum().metrics()
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? '')
  for (const name of names) if (!known.has(name)) report.fault('accepted', `the metric ${name}`)
  channel.close()
}

const known = new Set(new WorkerMetrics().toJson().map(({ name }) => name))
const sum = new WorkerMetricsSum()
const config = { agents: [{ kind: 'unix', socket: '/a' }] } as never

/** What the supervisor does with a message. */
function use(value: unknown, onRead: () => void): void {
  const message = readFromWorker(value)
  if (message === undefined) return
  onRead()
  if (message.kind === 'metrics') sum.record(1, message.metrics)
  if (message.kind === 'agents') {
    const worker = {
      pid: 1,
      state: 'ready',
      since: '',
      restarts: 0,
      agents: message.agents,
    } as const
    JSON.stringify(agentStatuses(config, [worker]))
  }
  if (message.kind === 'recent-requests') {
    for (const record of message.requests.records) JSON.stringify(explainedRequest(record))
  }
  if (message.kind === 'request-record' && message.record !== undefined) {
    JSON.stringify(explainedRequest(message.record))
  }
}

const valid: readonly unknown[] = [
  { kind: 'ready' },
  { kind: 'pong', id: 1, served: 1, forwarding: { way: 'agent', why: 'none_granted' } },
  { kind: 'listening', listenerIds: [1, 2] },
  { kind: 'listen-failed', failures: [{ listenerId: 1, cause: 'x' }] },
  { kind: 'metrics', id: 1, metrics: new WorkerMetrics().toJson() },
  {
    kind: 'agents',
    agents: [{ agent: '/a', state: 'down', isAnswering: false, lastFailure: 'ENOENT' }],
  },
  { kind: 'canary', canaryId: 1, outcome: { ok: true, latency: 1 } },
  { kind: 'canary', canaryId: 1, outcome: { ok: false, why: 'x' } },
  {
    kind: 'request-record',
    id: 1,
    record: {
      requestId: 'r',
      at: 1,
      method: 'GET',
      target: '/',
      scope: 's',
      sourceIp: '10.0.0.1',
      sourceMac: '',
      instanceId: 'i',
      projectId: 'p',
      upstream: 'u',
      answeredBy: 'compute',
      outcome: 'relayed',
      status: 200,
      span: 1,
    },
  },
  { kind: 'drained' },
]

const odd: readonly unknown[] = [
  null,
  -1,
  0.5,
  1e308,
  2 ** 53,
  true,
  '',
  '\u001b[2J\n# TYPE forged counter',
  'toString',
  'x'.repeat(5_000),
  [],
  [null],
  {},
  JSON.parse('{"__proto__":{"kind":"ready"}}'),
]

/** A valid message of which some values are others. */
export function mutatedMessage(random: SeededRandom): unknown {
  return mutate(random.pick(valid), random)
}

function mutate(value: unknown, random: SeededRandom): unknown {
  if (random.chance(6)) return random.pick(odd)
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => mutate(item, random))
    return random.chance(3) ? [...items, ...items] : items
  }
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).map(([name, item]) => [name, mutate(item, random)] as const)
  return Object.fromEntries(random.chance(3) ? [...fields, ['more', random.pick(odd)]] : fields)
}

function rawBytes(random: SeededRandom): Buffer {
  const bytes = Buffer.alloc(random.below(2_000))
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = random.below(256)
  return bytes
}
