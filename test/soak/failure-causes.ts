import type { MonotonicMilliseconds } from '../../lib/runtime/clock.ts'

/** Why a request may fail, with what the test itself did to it. Everything else is a fault of the service. */
export const allowedCauses = [
  'its namespace was deleted under it',
  'its worker was killed',
  'its agent was killed',
  'the proxy was stopped',
  'the next agent took longer to start than guests wait',
] as const
export type AllowedCause = (typeof allowedCauses)[number]

interface Act {
  readonly cause: AllowedCause
  /** Only requests of this router; absent: of all. */
  readonly router: number | undefined
  readonly from: MonotonicMilliseconds
  until: MonotonicMilliseconds
}

/** Keeps what the test did to the service and when, so that failed requests can be told from lost ones. */
export class Acts {
  readonly #acts: Act[] = []

  /** Runs an act. A request that was under way at any moment of it may fail for it. */
  async during<Result>(
    cause: AllowedCause,
    router: number | undefined,
    act: () => Promise<Result>,
  ): Promise<Result> {
    const kept: Act = { cause, router, from: performance.now(), until: Number.POSITIVE_INFINITY }
    this.#acts.push(kept)
    try {
      return await act()
    } finally {
      kept.until = performance.now()
    }
  }

  /** Notes what turned out to have been done to all in the meantime. */
  note(cause: AllowedCause, from: MonotonicMilliseconds): void {
    this.#acts.push({ cause, router: undefined, from, until: performance.now() })
  }

  /** @returns `undefined` when nothing that was done explains it */
  causeOf(
    router: number,
    from: MonotonicMilliseconds,
    until: MonotonicMilliseconds,
  ): AllowedCause | undefined {
    return this.#acts.findLast(
      (act) =>
        (act.router === undefined || act.router === router) &&
        act.from <= until &&
        act.until >= from,
    )?.cause
  }
}
