/**
 * How long is compute waited for while it restarts? A guest with an older cloud-init requests metadata once, and takes every
 * refusal for the last word: its instance stays without keys because it happened to boot in a second in which Nova's
 * service was started anew. So a request that finds every endpoint refusing connections tries them again for a while.
 *
 * Only at the beginning of an outage. One that has lasted longer is no restart, and then guests are sent away at once, to come back.
 */
import { Backoff, type Random } from '../../lib/runtime/backoff.ts'
import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { ComputeFailure } from './attempt.ts'
import type { Downstream } from './exchange.ts'

/** What a request has waited already, and what it waits now. */
export interface Waited {
  readonly since: MonotonicMilliseconds
  readonly backoff: Backoff
  /** Of the pause before it is sent again. */
  readonly span: Milliseconds
  /** How many endpoints it was sent to, those tried repeatedly counted each time. */
  readonly attempts: Count
}

export interface RestartRetryOptions {
  readonly clock: Clock
  /** For one request; 0: none is made to wait. */
  readonly limit: Milliseconds
  readonly random: Random
}

/** A request that no endpoint took. */
export interface Unreached {
  readonly code: ComputeFailure
  readonly cause: Error
  readonly attempts: Count
}

const firstPause: Milliseconds = 25
const longestPause: Milliseconds = 400
/** So long without any answer is an outage and no restart. */
const longestRestart: Milliseconds = 15_000

/** Not listening yet, or no longer: what a restart looks like. A name that is unknown or a certificate that is wrong does not pass. */
const passing: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE'])

/** Decides whether a request is worth another try. */
export class RestartRetry {
  readonly #options: RestartRetryOptions

  constructor(options: RestartRetryOptions) {
    this.#options = options
  }

  /**
   * @param silentSince since when no endpoint has answered anything
   * @param waited what the same request has waited before
   * @returns the pause before the next try, or `undefined` when there should be none
   */
  pauseAfter(
    failed: Unreached,
    silentSince: MonotonicMilliseconds | undefined,
    waited: Waited | undefined,
  ): Waited | undefined {
    const { clock, limit, random } = this.#options
    const { code, cause, attempts } = failed
    if (limit === 0 || code !== 'compute_unreachable') return undefined
    if (!passing.has((cause as NodeJS.ErrnoException).code)) return undefined
    const now = clock.now()
    if (silentSince !== undefined && now - silentSince > longestRestart) return undefined
    const since = waited?.since ?? now
    const backoff = waited?.backoff ?? new Backoff(firstPause, longestPause, random)
    const span = backoff.next()
    return now + span > since + limit ? undefined : { since, backoff, span, attempts }
  }
}

/** Waits, but not longer than the answer is wanted. */
export function pauseUnlessGone(
  clock: Clock,
  span: Milliseconds,
  downstream: Downstream,
): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.schedule(span, over)
    const stopListening = downstream.onGone(over)

    function over(): void {
      cancel()
      stopListening()
      resolve()
    }
  })
}
