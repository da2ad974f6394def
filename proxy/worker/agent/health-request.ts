/** How is a request made whose answer counts as a sign of life and as nothing else? */
import { readAnswerHead } from '../../../lib/http/answer-head.ts'
import type { AnswerHandler } from '../../../lib/fast-http/answer-handler.ts'
import type { FlatFields } from '../../../lib/fast-http/fields.ts'

/** Whether the agent knows the question, or answers it as any request. */
export type HealthOutcome = 'ours' | 'foreign'

/** One health request, as the HTTP client sees it. Calls back once, unless it is cancelled. */
export class HealthRequest implements AnswerHandler {
  #done: ((outcome: HealthOutcome | Error) => void) | undefined
  #abort: ((error?: Error) => void) | undefined
  #outcome: HealthOutcome = 'foreign'

  constructor(done: (outcome: HealthOutcome | Error) => void) {
    this.#done = done
  }

  /** False while there is no connection yet: an agent that is not there is not a silent one. */
  get isSent(): boolean {
    return this.#abort !== undefined
  }

  /** Closes its connection as well: an agent that hung may answer late. */
  cancel(): void {
    this.#done = undefined
    this.#abort?.(new Error('cancelled'))
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#done === undefined) throw new Error('cancelled before it was sent')
    this.#abort = abort
  }

  onHeaders(status: number, fields: FlatFields): boolean {
    const isOurs = status === 204 || readAnswerHead(status, fields, 'agent')?.reason !== undefined
    if (isOurs) this.#outcome = 'ours'
    return true
  }

  onData(): boolean {
    return true
  }

  onComplete(): void {
    this.#report(this.#outcome)
  }

  onError(cause: Error): void {
    this.#report(cause)
  }

  #report(outcome: HealthOutcome | Error): void {
    const done = this.#done
    this.#done = undefined
    done?.(outcome)
  }
}
