/** When may the proxy before us stop? */
import type { Clock, Milliseconds } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { Predecession } from './successor.ts'

/** When we serve. */
export interface ServingOptions {
  /** Workers accept wherever they can. */
  readonly isServing: () => boolean
  readonly clock: Clock
}

export interface FinishOptions extends ServingOptions {
  readonly predecession: Predecession
  readonly logger: Logger
}

/** Workers are started and given their sockets in less than a second on an idle host. */
const servingLimit: Milliseconds = 60_000
const askAgain: Milliseconds = 5

/** @returns false when that took too long */
export async function untilServing({ isServing, clock }: ServingOptions): Promise<boolean> {
  const begin = clock.now()
  while (!isServing()) {
    if (clock.now() - begin > servingLimit) return false
    await clock.sleep(askAgain)
  }
  return true
}

/**
 * Waits until we serve, and only then has the other proxy stop.
 * @throws Error when that takes too long; the other one goes on as before
 */
export async function finishTakeOver(options: FinishOptions): Promise<void> {
  const { predecession, clock, logger } = options
  const { pid, fds } = predecession
  const begin = clock.now()
  if (!(await untilServing(options))) {
    predecession.abandon()
    throw new Error(`Cannot take over from process ${pid}: not serving in time`)
  }
  const served = clock.now()
  await predecession.finish()
  logger.info(
    {
      pid,
      sockets: fds.length,
      servingAfter: Math.round(served - begin),
      releasedAfter: Math.round(clock.now() - served),
    },
    'Took over from another proxy',
  )
}
