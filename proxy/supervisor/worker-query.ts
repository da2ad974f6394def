/** What can all workers be queried for, and what is an answer? */
import type { FromWorker, ToWorker } from '../worker/shared/protocol.ts'

const answerKinds = {
  ping: 'pong',
  metrics: 'metrics',
  'find-request': 'request-record',
  'list-requests': 'recent-requests',
} as const

/** A query to every worker. */
export type WorkerQuery = Extract<ToWorker, { kind: keyof typeof answerKinds }>
/** The answer to one. */
export type WorkerAnswer = Extract<
  FromWorker,
  { kind: (typeof answerKinds)[keyof typeof answerKinds] }
>

/** What stands for the answer while it is awaited: `metrics 7`. */
export function answerKey({ kind, id }: WorkerQuery): string {
  return `${answerKinds[kind]} ${id}`
}

/** Whether an answer fits the query. */
export function fitsQuery(query: WorkerQuery, answer: FromWorker): boolean {
  if (query.kind !== 'find-request' || answer.kind !== 'request-record') return true
  return answer.record === undefined || answer.record.requestId === query.requestId
}
