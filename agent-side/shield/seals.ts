/** Since when may an instance have its user data, and for how much longer? */
import type { InstanceId } from '../../lib/identity/ids.ts'
import type {
  Clock,
  Count,
  EpochMilliseconds,
  MonotonicMilliseconds,
} from '../../lib/runtime/clock.ts'
import type { DocumentClass } from '../../lib/shield/document-class.ts'
import type { SealTerms } from './policy.ts'

/** Instances whose window has begun. None is forgotten, which would open it again: beyond, no other window begins. */
const mostWindows: Count = 100_000
/** When a window began that has been found closed: no clock and no other policy opens it again. */
const closed: EpochMilliseconds = 0

interface Window {
  readonly began: EpochMilliseconds
  /** The same moment, or when it was restored, by a clock that is never set. */
  readonly since: MonotonicMilliseconds
}

export interface SealsOptions {
  readonly clock: Pick<Clock, 'now' | 'wallTime'>
  /** Called after each change, which must survive a restart. */
  readonly onChange: () => void
  /** @default 100,000 */
  readonly most?: Count
}

/** Remembers when the window of each instance began. */
export class Seals {
  readonly #windows = new Map<InstanceId, Window>()
  readonly #options: SealsOptions
  #changes = 0
  #lost: string | undefined

  constructor(options: SealsOptions) {
    this.#options = options
  }

  /** Why it is not known which windows began before; absent where it is. */
  get lost(): string | undefined {
    return this.#lost
  }

  get size(): Count {
    return this.#windows.size
  }

  /** Whether no window of another instance can begin: whoever has none is sealed. */
  get isFull(): boolean {
    const { most = mostWindows } = this.#options
    return this.#windows.size >= most
  }

  /** Grows with each change. */
  get changes(): Count {
    return this.#changes
  }

  /** The instance sent a request, or has just been given a document that is to be sealed. */
  note(what: SealTerms['from'], instanceId: InstanceId, terms: SealTerms): void {
    if (terms.from !== what || this.#windows.has(instanceId)) return
    // It may have begun, and ended, long ago.
    if (this.#lost !== undefined || this.isFull) return
    this.#set(instanceId, this.#options.clock.wallTime())
    this.#changed()
  }

  /** What was sealed once stays so until {@link Seals.unseal}. */
  isSealed(instanceId: InstanceId, { after }: SealTerms): boolean {
    const window = this.#windows.get(instanceId)
    if (window === undefined) return this.#lost !== undefined || this.isFull
    if (window.began === closed) return true
    const { clock } = this.#options
    // A clock that is set back must not lengthen the window.
    const passed = Math.max(clock.wallTime() - window.began, clock.now() - window.since)
    if (passed < after) return false
    this.#set(instanceId, closed)
    this.#changed()
    return true
  }

  /** The window begins anew with what begins it, or at once after {@link lose} and where {@link isFull}. @returns false when there is none */
  unseal(instanceId: InstanceId): boolean {
    if (this.#lost !== undefined || this.isFull) {
      this.#set(instanceId, this.#options.clock.wallTime())
      this.#changed()
      return true
    }
    if (!this.#windows.delete(instanceId)) return false
    this.#changed()
    return true
  }

  entries(): readonly (readonly [InstanceId, EpochMilliseconds])[] {
    return Array.from(this.#windows, ([instanceId, { began }]) => [instanceId, began] as const)
  }

  /** Takes up what was remembered before. */
  restore(saved: Iterable<readonly [InstanceId, EpochMilliseconds]>): void {
    const now = this.#options.clock.wallTime()
    for (const [instanceId, began] of saved) {
      // The clock was set back in between, and nothing shows how long the window has been open.
      this.#set(instanceId, began > now ? closed : began)
    }
  }

  /** Windows of before are lost: whoever has none is sealed from now on. */
  lose(why: string): void {
    this.#lost = why
    this.#changes += 1
  }

  #set(instanceId: InstanceId, began: EpochMilliseconds): void {
    this.#windows.set(instanceId, { began, since: this.#options.clock.now() })
  }

  #changed(): void {
    this.#changes += 1
    this.#options.onChange()
  }
}

/** Which classes a seal closes. Leaving a password is no reading of it. */
export function isSealable(classes: readonly DocumentClass[], method: string): boolean {
  return classes.includes('user_data') || (classes.includes('password') && method !== 'POST')
}
