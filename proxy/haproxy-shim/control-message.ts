/** What do overlapd-haproxy and `overlapd-proxy adopt` send to the running proxy, and what does it answer? */
import { readFields } from '../../lib/wire/message-fields.ts'
import { isRecordName } from './attachment-record.ts'

/** One line of JSON each way on the control socket. */
export type ControlRequest =
  /** Serve the namespace of this record, which is written. */
  | { readonly kind: 'attach'; readonly name: string }
  /** The same, with the listening sockets that were sent to the socket for descriptors just before. */
  | { readonly kind: 'adopt'; readonly name: string }

/** What the proxy answers on its control socket. */
export type ControlAnswer =
  | {
      readonly ok: true
      /** `opening`: wanted and not there yet; it is tried again and again. */
      readonly state: 'serving' | 'opening'
      readonly listeners: readonly string[]
      /** What does not work although guests are served. */
      readonly why?: string
    }
  | { readonly ok: false; readonly why: string }

/** Of a whole line; the longest requests are some hundred bytes. */
export const longestLine = 65_536

/** @returns `undefined` for what is no request */
export function readControlRequest(value: unknown): ControlRequest | undefined {
  const { kind, name } = readFields(value) ?? {}
  if (!isRecordName(name) || (kind !== 'attach' && kind !== 'adopt')) return undefined
  return { kind, name }
}

/** @throws SyntaxError when it is no answer */
export function readControlAnswer(value: unknown): ControlAnswer {
  const { ok, state, listeners, why } = readFields(value) ?? {}
  if (ok === false && typeof why === 'string') return { ok, why }
  if (ok !== true || (state !== 'serving' && state !== 'opening') || !Array.isArray(listeners)) {
    throw new SyntaxError('the proxy answered with something else than an answer')
  }
  const more = typeof why === 'string' ? { why } : {}
  return { ok, state, listeners: listeners.map(String), ...more }
}
