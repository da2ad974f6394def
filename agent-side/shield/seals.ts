/** Since when may an instance have its user data, and for how much longer? */
import type { InstanceId } from '../../lib/identity/ids.ts'
import type { Count, EpochMilliseconds } from '../../lib/runtime/clock.ts'
import type { DocumentClass } from '../../lib/shield/document-class.ts'
import type { SealTerms } from './policy.ts'

/** Instances whose window has begun; the oldest go first, long after they were deleted. */
const mostWindows: Count = 100_000

/** Remembers when the window of each instance began. */
export class Seals {
  readonly #began = new Map<InstanceId, EpochMilliseconds>()
  readonly #onChange: () => void
  #changes = 0

  /** @param onChange called after each change, which must survive a restart */
  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  get size(): Count {
    return this.#began.size
  }

  /** Grows with each change. */
  get changes(): Count {
    return this.#changes
  }

  /** The instance sent a request, or has just been given a document that is to be sealed. */
  note(
    what: SealTerms['from'],
    instanceId: InstanceId,
    terms: SealTerms,
    now: EpochMilliseconds,
  ): void {
    if (terms.from !== what || this.#began.has(instanceId)) return
    this.#set(instanceId, now)
    this.#changed()
  }

  isSealed(instanceId: InstanceId, { after }: SealTerms, now: EpochMilliseconds): boolean {
    const began = this.#began.get(instanceId)
    return began !== undefined && now >= began + after
  }

  /** The window begins anew with what begins it. @returns false when there is none */
  unseal(instanceId: InstanceId): boolean {
    if (!this.#began.delete(instanceId)) return false
    this.#changed()
    return true
  }

  entries(): readonly (readonly [InstanceId, EpochMilliseconds])[] {
    return [...this.#began]
  }

  /** Takes up what was remembered before. */
  restore(saved: Iterable<readonly [InstanceId, EpochMilliseconds]>): void {
    for (const [instanceId, began] of saved) this.#set(instanceId, began)
  }

  #set(instanceId: InstanceId, began: EpochMilliseconds): void {
    if (this.#began.size >= mostWindows) {
      const [oldest] = this.#began.keys()
      if (oldest !== undefined) this.#began.delete(oldest)
    }
    this.#began.set(instanceId, began)
  }

  #changed(): void {
    this.#changes += 1
    this.#onChange()
  }
}

/** Which classes a seal closes. Leaving a password is no reading of it. */
export function isSealable(classes: readonly DocumentClass[], method: string): boolean {
  return classes.includes('user_data') || (classes.includes('password') && method !== 'POST')
}
