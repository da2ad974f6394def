import type { Clock, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { Identity, Resolution } from '../resolve/resolution.ts'

/**
 * How old an identity must be before a 404 leads to another lookup. A guest can make Nova answer 404 whenever it likes, by requesting
 * a path that does not exist, and each boot does so several times.
 */
const youngestDoubtful: Milliseconds = 2_000

/** How long a good answer vouches for its identity; Nova itself remembers an instance for 15 s. */
const vouchedFor: Milliseconds = 10_000

/**
 * When does a 404 or 403 of compute put the identity in doubt? When the identity was remembered and compute has not lately
 * shown that it knows it.
 */
export class IdentityRecheck {
  readonly #clock: Clock
  readonly #vouched = new WeakMap<Identity, MonotonicMilliseconds>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  isDue(resolution: Resolution & { readonly kind: 'found' }): boolean {
    const now = this.#clock.now()
    if (now - resolution.asOf < youngestDoubtful) return false
    const vouchedAt = this.#vouched.get(resolution.identity)
    return vouchedAt === undefined || now - vouchedAt > vouchedFor
  }

  /** Nova answers the root whatever the instance, so only deeper targets count. */
  noteAnswer(identity: Identity, target: string, status: number): void {
    if (status !== 200) return
    if (!/^\/+(?:openstack|latest|\d{4}-\d\d-\d\d|1\.0)(?:[/?]|$)/.test(target)) return
    if (target.includes('..') || target.includes('%')) return
    this.#vouched.set(identity, this.#clock.now())
  }
}

/** Whether a fresh verdict names the instance of the one before. */
export function isSameInstance(
  one: Resolution,
  other: Resolution & { readonly kind: 'found' },
): boolean {
  return (
    one.kind === 'found' &&
    one.identity.instanceId === other.identity.instanceId &&
    one.identity.projectId === other.identity.projectId
  )
}
