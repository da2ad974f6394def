/** How many answers were judged in how much time? */
export class Pace {
  #named = 0
  #refusals = 0
  #milliseconds = 0

  /** @param isNamed true for an answer that names an instance, false for a refusal */
  judged(isNamed: boolean): void {
    if (isNamed) this.#named += 1
    else this.#refusals += 1
  }

  /** Counts the time that the work takes. */
  async during(work: () => Promise<unknown>): Promise<void> {
    const begun = performance.now()
    await work().finally(() => (this.#milliseconds += performance.now() - begun))
  }

  /** For the report. */
  get text(): string {
    const perMinute = (count: number): string => ((count * 60_000) / this.#milliseconds).toFixed(0)
    const all = this.#named + this.#refusals
    const seconds = (this.#milliseconds / 1_000).toFixed(0)
    return `${perMinute(all)} a minute, ${perMinute(this.#named)} of them named, over ${seconds} s`
  }
}
