/** Who gets an answer, and what can become of a request instead? */
import type { FlatFields } from './fields.ts'

/** Is called for the phases of one request in turn, and once for its end. What the methods but the last throw ends the request. */
export interface AnswerHandler {
  /** The request is about to be written; throws, or aborts at once, when its guest has left. */
  onConnect(abort: (cause?: Error) => void): void
  /** The first byte of the answer is here. */
  onResponseStarted?(): void
  /** @returns false for a pause until `resume` */
  onHeaders(status: number, fields: FlatFields, resume: () => void): boolean
  /** @returns false for a pause */
  onData(chunk: Buffer): boolean
  onComplete(): void
  onError(cause: Error): void
}

/** The head of an answer, or more of its body, did not come in time. */
export class AnswerTimeout extends Error {
  override readonly name = 'AnswerTimeout'
}

/** What came can be read in no way, or in more than one. */
export class MalformedAnswer extends Error {
  override readonly name = 'MalformedAnswer'
}

/** Whether the other side has ended the connection, as it may at any time with one that was kept. @see RFC 9112 §9.3.1 */
export function isConnectionLost(cause: Error): boolean {
  const { code } = cause as NodeJS.ErrnoException
  return code === 'ECONNRESET' || code === 'EPIPE'
}

/** An error for a connection that ended under a request. */
export function connectionEnded(message: string): Error {
  return Object.assign(new Error(message), { code: 'ECONNRESET' })
}
