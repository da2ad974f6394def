/** What may a worker report? It reads what guests write, so each field is read as if a guest had written it. */
import {
  allRead,
  readAmount,
  readCount,
  readFields,
  readList,
  readText,
  readWord,
  type Fields,
} from '../../../lib/wire/message-fields.ts'
import {
  agentWayReasons,
  type AgentReport,
  type CanaryOutcome,
  type ForwardingReport,
  type FromWorker,
} from './protocol.ts'
import { readWorkerMetrics } from './read-metrics.ts'
import { readRecentRequests, readRequestRecord } from './read-request-record.ts'

const mostId = 2 ** 40
const mostListeners = 65_536
const mostAgents = 64
const longestSpan = 1e9
const longest = { word: 200, text: 1_000 } as const

/** @returns `undefined` for what is none of {@link FromWorker} */
export function readFromWorker(value: unknown): FromWorker | undefined {
  const sent = readFields(value)
  if (sent === undefined) return undefined
  switch (sent['kind']) {
    case 'ready':
    case 'drained':
      return { kind: sent['kind'] }
    case 'pong':
      return withKind('pong', {
        id: readId(sent['id']),
        served: readId(sent['served']),
        forwarding: readForwardingReport(sent['forwarding']),
      })
    case 'listening':
      return withKind('listening', {
        listenerIds: readList(sent['listenerIds'], mostListeners, readId),
      })
    case 'listen-failed':
      return withKind('listen-failed', {
        failures: readList(sent['failures'], mostListeners, readListenFailure),
      })
    case 'metrics':
      return withKind('metrics', {
        id: readId(sent['id']),
        metrics: readWorkerMetrics(sent['metrics']),
      })
    case 'agents':
      return withKind('agents', { agents: readList(sent['agents'], mostAgents, readAgentReport) })
    case 'canary':
      return withKind('canary', {
        canaryId: readId(sent['canaryId']),
        outcome: readCanaryOutcome(sent['outcome']),
      })
    case 'request-record':
      return readRecordAnswer(sent)
    case 'recent-requests':
      return withKind('recent-requests', {
        id: readId(sent['id']),
        requests: readRecentRequests(sent['requests']),
      })
    default:
      return undefined
  }
}

function withKind<Kind extends FromWorker['kind'], Read extends Fields>(
  kind: Kind,
  read: Read,
):
  | ({ readonly kind: Kind } & { readonly [Name in keyof Read]: Exclude<Read[Name], undefined> })
  | undefined {
  const fields = allRead(read)
  return fields && { kind, ...fields }
}

function readId(value: unknown): number | undefined {
  return readCount(value, mostId)
}

function readListenFailure(
  value: unknown,
): { readonly listenerId: number; readonly cause: string } | undefined {
  const { listenerId, cause } = readFields(value) ?? {}
  return allRead({ listenerId: readId(listenerId), cause: readText(cause, longest.text) })
}

function readAgentReport(value: unknown): AgentReport | undefined {
  const { agent, state, isAnswering, lastFailure } = readFields(value) ?? {}
  if (typeof isAnswering !== 'boolean') return undefined
  const read = allRead({
    agent: readText(agent, longest.text),
    state: readWord(state, ['up', 'down']),
    isAnswering,
  })
  if (read === undefined || lastFailure === undefined) return read
  const failure = readText(lastFailure, longest.text)
  return failure === undefined ? undefined : { ...read, lastFailure: failure }
}

function readForwardingReport(value: unknown): ForwardingReport | undefined {
  const { way, why, failure } = readFields(value) ?? {}
  if (way === 'compute') return { way }
  const read = allRead({ way: readWord(way, ['agent']), why: readWord(why, agentWayReasons) })
  if (read === undefined || failure === undefined) return read
  const text = readText(failure, longest.text)
  return text === undefined ? undefined : { ...read, failure: text }
}

function readCanaryOutcome(value: unknown): CanaryOutcome | undefined {
  const { ok, latency, why } = readFields(value) ?? {}
  if (ok === true) {
    const read = allRead({ latency: readAmount(latency, longestSpan) })
    return read && { ok, ...read }
  }
  const read = allRead({ why: readText(why, longest.word) })
  return ok === false ? read && { ok, ...read } : undefined
}

function readRecordAnswer(sent: Fields): FromWorker | undefined {
  const id = readId(sent['id'])
  if (id === undefined) return undefined
  if (sent['record'] === undefined) return { kind: 'request-record', id }
  const record = readRequestRecord(sent['record'])
  return record && { kind: 'request-record', id, record }
}
