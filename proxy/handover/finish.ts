/** When may the proxy before us stop? */
import type { Clock, Milliseconds } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { Predecession } from './successor.ts'

export interface FinishOptions {
  readonly predecession: Predecession
  /** Workers accept wherever they can. */
  readonly isServing: () => boolean
  readonly clock: Clock
  readonly logger: Logger
}

/** Workers are started and given their sockets in less than a second on an idle host. */
const servingLimit: Milliseconds = 60_000
const askAgain: Milliseconds = 5

/**
 * Waits until we serve, and only then has the other proxy stop.
 * @throws Error when that takes too long; the other one goes on as before
 */
export async function finishTakeOver(options: FinishOptions): Promise<void> {
  const { predecession, isServing, clock, logger } = options
  const { pid, fds } = predecession
  const begin = clock.now()
  while (!isServing()) {
    if (clock.now() - begin > servingLimit) {
      predecession.abandon()
      throw new Error(`Cannot take over from process ${pid}: not serving in time`)
    }
    await clock.sleep(askAgain)
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
