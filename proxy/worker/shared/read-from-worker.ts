/** What may a worker report? It reads what guests write, so each field is read as if a guest had written it. */
import { parseIngressPort } from '../../../lib/identity/ingress-port.ts'
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
import { isReasonCode } from '../../../lib/runtime/reason-codes.ts'
import type { AgentReport, CanaryOutcome, DirectRecord, FromWorker } from './protocol.ts'
import { readWorkerMetrics } from './read-metrics.ts'

const mostId = 2 ** 40
const mostListeners = 65_536
const mostAgents = 64
/** The last millisecond that a date can name. */
const endOfTime = 8.64e15
const longestSpan = 1e9
const mostStatus = 999
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
      return withKind('pong', { id: readId(sent['id']), served: readId(sent['served']) })
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
    case 'direct-record':
      return readDirectAnswer(sent)
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

function readCanaryOutcome(value: unknown): CanaryOutcome | undefined {
  const { ok, latency, why } = readFields(value) ?? {}
  if (ok === true) {
    const read = allRead({ latency: readAmount(latency, longestSpan) })
    return read && { ok, ...read }
  }
  const read = allRead({ why: readText(why, longest.word) })
  return ok === false ? read && { ok, ...read } : undefined
}

function readDirectAnswer(sent: Fields): FromWorker | undefined {
  const id = readId(sent['id'])
  if (id === undefined) return undefined
  if (sent['record'] === undefined) return { kind: 'direct-record', id }
  const record = readDirectRecord(sent['record'])
  return record && { kind: 'direct-record', id, record }
}

function readDirectRecord(value: unknown): DirectRecord | undefined {
  const sent = readFields(value)
  if (sent === undefined) return undefined
  const word = (name: string): string | undefined => readText(sent[name], longest.word)
  const read = allRead({
    requestId: word('requestId'),
    at: readAmount(sent['at'], endOfTime),
    method: word('method'),
    target: readText(sent['target'], longest.text),
    scope: word('scope'),
    sourceIp: word('sourceIp'),
    sourceMac: word('sourceMac'),
    instanceId: word('instanceId'),
    projectId: word('projectId'),
    upstream: readText(sent['upstream'], longest.text),
    outcome: readWord(sent['outcome'], ['relayed', 'refused', 'cut_off', 'left']),
    status: readCount(sent['status'], mostStatus),
    span: readAmount(sent['span'], longestSpan),
  })
  const { reason } = sent
  const ingressPort = parseIngressPort(sent['ingressPort'])
  if (read === undefined) return undefined
  if (reason !== undefined && !isReasonCode(reason)) return undefined
  if (sent['ingressPort'] !== undefined && ingressPort === undefined) return undefined
  return {
    ...read,
    ...(ingressPort !== undefined && { ingressPort }),
    ...(reason !== undefined && { reason }),
  }
}
