import type { FaultEntry } from '../ports/static/instance-schema.ts'

/** Which fault, if any, meets a request? Counts how often each has been used. */
export class Faults {
  readonly #faults: readonly FaultEntry[]
  readonly #used = new Map<FaultEntry, number>()

  constructor(faults: readonly FaultEntry[]) {
    this.#faults = faults
  }

  /** The first that fits; it counts as used. */
  take(path: string, instanceId: string | undefined): FaultEntry | undefined {
    const fault = this.#faults.find(
      (candidate) =>
        (candidate.path?.test(path) ?? true) &&
        (candidate.instance === '*' || candidate.instance === instanceId) &&
        (this.#used.get(candidate) ?? 0) < (candidate.times ?? Number.POSITIVE_INFINITY),
    )
    if (fault !== undefined) this.#used.set(fault, (this.#used.get(fault) ?? 0) + 1)
    return fault
  }
}
