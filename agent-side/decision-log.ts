import type { Count, EpochMilliseconds, Milliseconds } from '../lib/clock.ts'
import type { ReasonCode } from '../lib/reason-codes.ts'
import type { Peer } from './lookup-key.ts'
import type { LookupKey, Resolution } from './resolve/resolution.ts'

/** What was decided about one request. */
export interface Decision {
  readonly requestId: string
  readonly at: EpochMilliseconds
  readonly peer: Peer
  readonly method: string
  /** The request-target, cut where it becomes long. */
  readonly target: string
  readonly key: LookupKey | undefined
  readonly resolution: Resolution | undefined
  /** How old the resolution was when the request came; 0 without one. */
  readonly mappingAge: Milliseconds
  /** `cut_off`: the answer broke off in the middle. `left`: the guest did not wait. */
  readonly outcome: 'relayed' | 'refused' | 'cut_off' | 'left'
  /** What the guest got; 0 when nothing. */
  readonly status: number
  readonly reason: ReasonCode | undefined
  readonly upstream: Count | undefined
  readonly attempts: Count
  readonly span: Milliseconds
}

/**
 * The latest decisions, so that `explain --request ID` finds them. Refusals have room of their own: a boot storm of good
 * answers must not push out the one that somebody asks about.
 */
export class DecisionLog {
  readonly #served: Ring
  readonly #refused: Ring

  /** @param size how many of each sort to hold */
  constructor(size: Count) {
    this.#served = new Ring(size)
    this.#refused = new Ring(size)
  }

  add(decision: Decision): void {
    const isServed = decision.outcome === 'relayed' && decision.status < 400
    if (isServed) this.#served.add(decision)
    else this.#refused.add(decision)
  }

  find(requestId: string): Decision | undefined {
    return this.#refused.find(requestId) ?? this.#served.find(requestId)
  }

  /** What went wrong lately, the newest first. */
  latestRefusals(count: Count): readonly Decision[] {
    return this.#refused.latest(count)
  }
}

class Ring {
  readonly #decisions: Decision[] = []
  readonly #size: Count
  #next = 0

  constructor(size: Count) {
    this.#size = size
  }

  add(decision: Decision): void {
    this.#decisions[this.#next] = decision
    this.#next = (this.#next + 1) % this.#size
  }

  find(requestId: string): Decision | undefined {
    return this.latest(this.#decisions.length).find((one) => one.requestId === requestId)
  }

  latest(count: Count): readonly Decision[] {
    const newer = this.#decisions.slice(0, this.#next).toReversed()
    const older = this.#decisions.slice(this.#next).toReversed()
    return [...newer, ...older].slice(0, count)
  }
}
