/** What goes to the compute metadata API and where its answer goes, whoever brought it. */
import type { MonotonicMilliseconds } from '../../lib/runtime/clock.ts'

/** The part of a guest's request that reaches compute. */
export interface ComputeRequest {
  readonly method: string
  /** The raw request-target as it was received, from its first slash on. */
  readonly target: string
  /** Whole: WSGI servers do not all read chunks. */
  readonly body?: Uint8Array | undefined
}

/** True when sending the request a second time changes nothing (RFC 9110 §9.2.2) and can be done. */
export function isRepeatable(request: ComputeRequest): boolean {
  return (request.method === 'GET' || request.method === 'HEAD') && request.body === undefined
}

/** Names and values in turn, as Node takes them. */
export type FlatHeaders = readonly string[]

/** The times of a request's phases, written into an object that the caller owns. The latest attempt counts. */
export interface ForwardTimes {
  signingAt: MonotonicMilliseconds
  sentAt: MonotonicMilliseconds
}

/** Where an answer goes. Calls come in the order `start`, `write`…, then `end` or `destroy`. */
export interface Downstream {
  start(status: number, headers: FlatHeaders): void
  /** @returns false when it wants a pause until `onceDrained` */
  write(chunk: Uint8Array): boolean
  end(): void
  /** Breaks the connection off, so that a cut answer cannot pass for a whole one. */
  destroy(): void
  onceDrained(resume: () => void): void
  readonly isGone: boolean
  /** Calls back when the receiver leaves before the end. @returns the function that ends the subscription */
  onGone(left: () => void): () => void
}

/** A whole answer that was kept back while something else was tried. */
export interface KeptAnswer {
  readonly status: number
  readonly headers: FlatHeaders
  readonly body: readonly Uint8Array[]
}

/** Gives a kept answer to whom it was meant for. */
export function relayKept(answer: KeptAnswer, downstream: Downstream): void {
  downstream.start(answer.status, answer.headers)
  for (const chunk of answer.body) downstream.write(chunk)
  downstream.end()
}
