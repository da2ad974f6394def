/** May requests of guests go straight to an endpoint of compute, or does the worker not reach it? */
import type { AnswerHandler } from '../../../lib/fast-http/answer-handler.ts'
import { Backoff } from '../../../lib/runtime/backoff.ts'
import type {
  Bytes,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import { causeText } from '../../../lib/runtime/errors.ts'

export interface EndpointReachOptions {
  readonly clock: Clock
  /** Sends a request of the worker's own. @see EndpointReach */
  readonly probe: (handler: AnswerHandler) => void
}

const firstRest: Milliseconds = 500
const longestRest: Milliseconds = 30_000
/** Of the answer to a probe. */
const mostRead: Bytes = 64 * 1024
/** Of the text that the supervisor gets. */
const longestCause: Count = 200

/**
 * An endpoint counts as reached until a request fails. After that no guest waits for it: when its rest is over, the next request that would
 * have gone there starts a probe of the worker's own, and goes over the agent. Each rest is twice as long as the one before.
 */
export class EndpointReach {
  readonly #options: EndpointReachOptions
  readonly #backoff = new Backoff(firstRest, longestRest)
  #restUntil: MonotonicMilliseconds | undefined
  #isProbing = false
  #lastFailure = ''

  constructor(options: EndpointReachOptions) {
    this.#options = options
  }

  /** Why the endpoint is not reached; `undefined` while it is. */
  get failure(): string | undefined {
    return this.#restUntil === undefined ? undefined : this.#lastFailure
  }

  /** Whether a request of a guest may go there now. */
  isUsable(): boolean {
    if (this.#restUntil === undefined) return true
    if (!this.#isProbing && this.#options.clock.now() >= this.#restUntil) this.#probe()
    return false
  }

  worked(): void {
    this.#backoff.reset()
    this.#restUntil = undefined
  }

  failed(cause: Error): void {
    this.#restUntil = this.#options.clock.now() + this.#backoff.next()
    this.#lastFailure = causeText(cause).slice(0, longestCause)
  }

  #probe(): void {
    this.#isProbing = true
    let bytes: Bytes = 0
    let isAnswered = false
    let stop: ((cause?: Error) => void) | undefined
    this.#options.probe({
      onConnect: (abort) => {
        stop = abort
      },
      onHeaders: () => {
        isAnswered = true
        this.worked()
        return true
      },
      onData: (chunk) => {
        bytes += chunk.length
        if (bytes > mostRead) stop?.()
        return true
      },
      onComplete: () => {
        this.#isProbing = false
      },
      onError: (cause) => {
        this.#isProbing = false
        if (!isAnswered) this.failed(cause)
      },
    })
  }
}
