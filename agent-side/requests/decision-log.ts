import type { Count, EpochMilliseconds, Milliseconds } from '../../lib/runtime/clock.ts'
import { RingBuffer } from '../../lib/observe/ring-buffer.ts'
import { isRefusal } from '../../lib/operator/request-event.ts'
import type { ReasonCode } from '../../lib/runtime/reason-codes.ts'
import type { Peer } from '../peers/lookup-key.ts'
import type { LookupKey, Resolution } from '../resolve/resolution.ts'
import type { Finding } from '../shield/judge.ts'

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
  /** The shields that it did not pass. */
  readonly findings: readonly Finding[]
  /** How old the resolution was when the request came; 0 without one. */
  readonly mappingAge: Milliseconds
  /** `cut_off`: the answer broke off in the middle. `left`: the guest did not wait. */
  readonly outcome: 'relayed' | 'refused' | 'cut_off' | 'left'
  /** What the guest got; 0 when nothing. */
  readonly status: number
  readonly reason: ReasonCode | undefined
  readonly upstream: Count | undefined
  readonly attempts: Count
  /** Since the request began: when it was known whose it is, when its headers were to be signed, when it went to compute. */
  readonly resolvedAfter?: Milliseconds | undefined
  readonly signingAfter?: Milliseconds | undefined
  readonly sentAfter?: Milliseconds | undefined
  readonly span: Milliseconds
}

/**
 * The latest decisions, so that `explain --request ID` finds them. Refusals have room of their own: a boot storm of good
 * answers must not push out the one that an operator looks for.
 */
export class DecisionLog {
  readonly #served: RingBuffer<Decision>
  readonly #refused: RingBuffer<Decision>
  #latestServed: Decision | undefined

  /** @param size how many of each sort to hold */
  constructor(size: Count) {
    this.#served = new RingBuffer(size)
    this.#refused = new RingBuffer(size)
  }

  add(decision: Decision): void {
    if (isRefusal(decision)) {
      this.#refused.add(decision)
      return
    }
    this.#served.add(decision)
    if (decision.status < 400) this.#latestServed = decision
  }

  find(requestId: string): Decision | undefined {
    const isWanted = (one: Decision): boolean => one.requestId === requestId
    return this.#refused.find(isWanted) ?? this.#served.find(isWanted)
  }

  /** The last that got what it wanted. */
  latestServed(): Decision | undefined {
    return this.#latestServed
  }

  /** What went wrong lately, the newest first. */
  latestRefusals(count: Count): readonly Decision[] {
    return this.#refused.newest(count)
  }
}
