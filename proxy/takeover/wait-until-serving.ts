/** When may the workers that served before us stop? */
import type { Clock, Milliseconds } from '../../lib/runtime/clock.ts'

/** When we serve. */
export interface ServingOptions {
  /** Workers accept wherever they can. */
  readonly isServing: () => boolean
  readonly clock: Clock
}

/** Workers are started and given their sockets in less than a second on an idle host. */
const servingLimit: Milliseconds = 60_000
const pollPause: Milliseconds = 5

/** @returns false when that took too long */
export async function untilServing({ isServing, clock }: ServingOptions): Promise<boolean> {
  const begin = clock.now()
  while (!isServing()) {
    if (clock.now() - begin > servingLimit) return false
    await clock.sleep(pollPause)
  }
  return true
}
