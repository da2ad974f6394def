import type { Clock, Milliseconds } from '../../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'

/** What ends a wait early. */
export interface WaitLimits {
  readonly clock: Clock
  readonly limit: Milliseconds
  readonly signal: AbortSignal
}

/**
 * Waits for work that others may wait for too: it goes on when this one gives up.
 * @throws MetadataError `directory_timeout` after the limit, or the signal's reason
 */
export function within<Value>(work: Promise<Value>, limits: WaitLimits): Promise<Value> {
  const { clock, limit, signal } = limits
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      cancel()
      signal.removeEventListener('abort', aborted)
    }
    const aborted = (): void => {
      leave()
      reject(signal.reason as Error)
    }
    const cancel = clock.schedule(limit, () => {
      leave()
      const message = 'Cannot query Neutron: no answer in time'
      reject(new MetadataError('directory_timeout', message, { details: { limit } }))
    })
    work.then(resolve, reject).finally(leave)
    if (signal.aborted) aborted()
    else signal.addEventListener('abort', aborted, { once: true })
  })
}
