import type { Count } from '../runtime/clock.ts'

/** A server for which work runs. */
export interface Running {
  running: Count
}

/**
 * Those who wait for a turn, the one for whom least runs first; among equals the one who waited longest for its turn. A
 * member must not change `running` while it is here.
 */
export class LeastLoaded<Member extends Running> {
  readonly #byRunning: Set<Member>[] = []

  /** Puts it behind its equals. */
  add(member: Member): void {
    // No holes: an array with holes is a slow one.
    while (this.#byRunning.length <= member.running) this.#byRunning.push(new Set())
    this.#byRunning[member.running]?.add(member)
  }

  remove(member: Member): void {
    this.#byRunning[member.running]?.delete(member)
  }

  first(): Member | undefined {
    for (const equals of this.#byRunning) {
      for (const member of equals) return member
    }
    return undefined
  }

  *[Symbol.iterator](): Generator<Member> {
    for (const equals of this.#byRunning) yield* equals
  }
}
