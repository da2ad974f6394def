/** What of an answer's head does the worker itself need? */
import type { Bytes, Count } from '../../../lib/runtime/clock.ts'
import { wireHeaders } from '../../../lib/wire/wire-headers.ts'

/** For the worker, beside what goes on to the guest. */
export interface AnswerFields {
  /** Content-Length; -1 without one. */
  readonly length: Bytes
  /** How many hops the answer may go; absent where nothing limits that. */
  readonly hopLimit?: Count
}

/** Reads the head of an answer. What is for the worker alone is taken out of it. @param headers names and values in turn */
export function takeAnswerFields(headers: string[]): AnswerFields {
  let length = -1
  let hopLimit: Count | undefined
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      length = Number(headers[index + 1])
    } else if (name.toLowerCase() === wireHeaders.answerHopLimit) {
      const hops = Number(headers[index + 1])
      // What cannot be read must not go any further than the guest.
      hopLimit = Number.isInteger(hops) && hops >= 1 && hops <= 255 ? hops : 1
      headers.splice(index, 2)
      index -= 2
    }
  }
  return hopLimit === undefined ? { length } : { length, hopLimit }
}
