/** How many answers were judged in how much time, and how soon did the agent follow the cloud? */
export class Pace {
  #named = 0
  #refusals = 0
  #milliseconds = 0
  #slowestNews = 0

  /** @param isNamed true for an answer that names an instance, false for a refusal */
  judged(isNamed: boolean): void {
    if (isNamed) this.#named += 1
    else this.#refusals += 1
  }

  /** The agent took so many milliseconds to follow a change, with nothing killed meanwhile. Until then what it names is not judged as wrong. */
  heard(milliseconds: number): void {
    this.#slowestNews = Math.max(this.#slowestNews, milliseconds)
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
    const news = `changes followed within ${this.#slowestNews.toFixed(0)} ms`
    return `${perMinute(all)} a minute, ${perMinute(this.#named)} of them named, over ${seconds} s; ${news}`
  }
}
