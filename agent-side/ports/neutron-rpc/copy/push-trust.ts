import type {
  Cancel,
  Clock,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../../lib/runtime/clock.ts'
import type { Cover } from './cover.ts'

/** Why pushes can or cannot be relied on. */
export type PushState = 'off' | 'unproven' | 'live' | 'unsupported' | 'distrusted'

/** How {@link PushTrust} begins and how long it bears a grudge. */
export interface PushTrustOptions {
  readonly isWanted: boolean
  readonly distrustFor: Milliseconds
  readonly clock: Clock
  /** Pushes may be relied on once they are proven again. */
  readonly forgiven: () => void
}

/**
 * Knows during which unbroken subscriptions, called eras, changes were pushed. What was fetched in the present era is
 * right for as long as it lasts; what was fetched in an earlier one was right until that ended.
 */
export class PushTrust {
  readonly #options: PushTrustOptions
  #state: PushState
  #era = 0
  #isUp = false
  #lastLive: { readonly era: number; readonly until: MonotonicMilliseconds } | undefined
  #forgiving: Cancel | undefined

  constructor(options: PushTrustOptions) {
    this.#options = options
    this.#state = options.isWanted ? 'unproven' : 'off'
  }

  get era(): number {
    return this.#era
  }

  get isUp(): boolean {
    return this.#isUp
  }

  get state(): PushState {
    return this.#state
  }

  get isLive(): boolean {
    return this.#isUp && this.#state === 'live'
  }

  /** A subscription begins. */
  begin(): void {
    this.#era += 1
    this.#isUp = true
    if (this.#state === 'live' || this.#state === 'unsupported') this.#state = 'unproven'
  }

  /** The subscription has ended, or may have ended as long ago as `silence`. */
  end(silence: Milliseconds): void {
    this.#endEra(silence)
    this.#isUp = false
  }

  proven(): void {
    if (this.#state === 'unproven') this.#state = 'live'
  }

  unsupported(): void {
    if (this.#state === 'unproven') this.#state = 'unsupported'
  }

  /** Changes were missed since an unknown moment: what is held counts from when it was fetched. */
  restart(): void {
    this.#lastLive = undefined
    this.#era += 1
  }

  /** A change was not pushed. */
  distrust(): void {
    if (this.#state !== 'live' && this.#state !== 'unproven') return
    this.restart()
    this.#state = 'distrusted'
    this.#forgiving?.()
    this.#forgiving = this.#options.clock.schedule(this.#options.distrustFor, () => {
      if (this.#state !== 'distrusted') return
      this.#state = 'unproven'
      this.#era += 1
      this.#options.forgiven()
    })
  }

  /** Until when a cover is known to have been right without a query. */
  knownUntil(cover: Cover): MonotonicMilliseconds {
    if (this.isLive && cover.era === this.#era) return this.#options.clock.now()
    const last = this.#lastLive
    return last !== undefined && last.era === cover.era
      ? Math.max(cover.fetchedAt, last.until)
      : cover.fetchedAt
  }

  close(): void {
    this.#forgiving?.()
    this.#isUp = false
  }

  #endEra(silence: Milliseconds): void {
    if (!this.isLive) return
    this.#lastLive = { era: this.#era, until: this.#options.clock.now() - silence }
  }
}
