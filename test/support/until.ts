import type { Milliseconds } from '../../lib/runtime/clock.ts'

/**
 * Resolves as soon as something holds. A test that waits in vain runs into its time limit.
 * @param every how often to look at another process; without it, whenever I/O had its turn
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  every?: Milliseconds,
): Promise<void> {
  while (!(await holds())) {
    await new Promise<void>((resolve) => {
      if (every === undefined) setImmediate(resolve)
      else setTimeout(resolve, every)
    })
  }
}
