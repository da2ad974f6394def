import type { Count } from '../../lib/runtime/clock.ts'
import { FairGate, type FairGateOptions, type Leaving } from '../../lib/admission/fair-gate.ts'
import type { RequestHolder } from './request-holder.ts'

/** Ends a turn. */
export type EndTurn = () => void

/**
 * How many requests of one certificate may be under way? Half as many as compute takes at a time, whatever projects they are for: a
 * stolen certificate leaves the other half to the other hosts. Those beyond that wait, in turns of their networks and sources.
 */
export class ProxyTurns {
  readonly #options: FairGateOptions
  /** Of those that have something under way. */
  readonly #gates = new Map<string, FairGate>()

  /** @param options of one gate; `limit` is compute's */
  constructor(options: FairGateOptions) {
    const { limit } = options
    const half = {
      get value(): Count {
        return Math.ceil(limit.value / 2)
      },
      wanted: () => limit.wanted(),
    }
    this.#options = { ...options, limit: half }
  }

  get waiting(): Count {
    let sum: Count = 0
    for (const gate of this.#gates.values()) sum += gate.waiting
    return sum
  }

  /**
   * Waits for a turn, if there is none at once.
   * @returns `undefined` when the peer has left
   * @throws {MetadataError} overloaded
   */
  async enter(
    { peer, scope, source }: RequestHolder,
    leaving: Leaving,
  ): Promise<EndTurn | undefined> {
    const gate = this.#gates.get(peer) ?? new FairGate(this.#options)
    this.#gates.set(peer, gate)
    const seat = gate.seat(scope, source, false)
    try {
      if (!gate.tryEnter(seat) && (await gate.wait(seat, leaving)) === 'left') return undefined
      return () => {
        gate.leave(seat)
        this.#forgetIdle(peer, gate)
      }
    } finally {
      this.#forgetIdle(peer, gate)
    }
  }

  #forgetIdle(peer: string, gate: FairGate): void {
    if (gate.running === 0 && gate.waiting === 0) this.#gates.delete(peer)
  }
}
