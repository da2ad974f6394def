import { isReasonCode, type ReasonCode } from '../runtime/reason-codes.ts'
import { agentResponseHeaders, relayedResponseHeaders, wireHeaders } from '../wire/wire-headers.ts'

/** What of an agent's answer goes on to the guest, body aside. */
export interface AnswerHead {
  /** Names as they were spelled and values, in turn. */
  readonly headers: string[]
  /** The agent's reason for a refusal, if it sent one. */
  readonly reason: ReasonCode | undefined
}

/** What Node writes into a header without complaint; anything else would throw in the middle of an answer. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/

/**
 * Takes from an answer what a guest may see, and from one of the agent also what the worker needs to send it.
 * @param fields names and values in turn, as bytes or as Latin-1
 * @param from a reason code of compute's would be a foreign word under our name, and is dropped
 * @returns `undefined` when no guest could be given such an answer
 */
export function readAnswerHead(
  status: number,
  fields: readonly (Buffer | string)[],
  from: 'agent' | 'compute',
): AnswerHead | undefined {
  if (status > 599) return undefined
  const headers: string[] = []
  let reason: ReasonCode | undefined
  let hasLength = false
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const name = latin1(fields[index])
    const canonical = name.toLowerCase()
    if (canonical === wireHeaders.reason) {
      const value = latin1(fields[index + 1])
      if (from === 'compute' || !isReasonCode(value)) continue
      reason = value
      headers.push(name, value)
      continue
    }
    const isRelayed =
      relayedResponseHeaders.has(canonical) ||
      (from === 'agent' && agentResponseHeaders.has(canonical))
    if (!isRelayed) continue
    if (canonical === 'content-length') {
      if (hasLength) return undefined
      hasLength = true
      // RFC 9110 §8.6 forbids it with 204.
      if (status === 204) continue
    }
    const value = latin1(fields[index + 1])
    if (!fieldValue.test(value)) return undefined
    headers.push(name, value)
  }
  return { headers, reason }
}

function latin1(field: Buffer | string | undefined): string {
  if (typeof field === 'string') return field
  return field === undefined ? '' : field.toString('latin1')
}
