/** What has to be undone however a run ends: processes, namespaces, kernel limits. The last begun is undone first. */
export class Teardown {
  readonly #steps = new Set<() => void | Promise<void>>()
  readonly #whole: Teardown | undefined
  #isInterrupted = false

  /** @param whole that of the run of which this one is a part */
  constructor(whole?: Teardown) {
    this.#whole = whole
  }

  /** Whether the run was interrupted. Nothing more may be begun then. */
  get isInterrupted(): boolean {
    return this.#isInterrupted || this.#whole?.isInterrupted === true
  }

  /**
   * @returns does the step now, once, and takes it off the list
   * @throws Error after an interruption; the step is done then
   */
  add(step: () => void | Promise<void>): () => Promise<void> {
    this.#steps.add(step)
    if (this.isInterrupted) {
      void this.run()
      throw new Error('The run is interrupted')
    }
    return async () => {
      if (this.#steps.delete(step)) await step()
    }
  }

  /** Does everything that is left. Goes on when a step fails, and says so on standard error. */
  async run(): Promise<void> {
    for (const step of [...this.#steps].toReversed()) {
      // An interruption may be cleaning up at the same time.
      if (!this.#steps.delete(step)) continue
      try {
        await step()
      } catch (cause) {
        process.stderr.write(`bench: cannot clean up: ${String(cause)}\n`)
      }
    }
  }

  /** Cleans up, as {@link run}, after a signal has ended the run early. */
  async interrupt(): Promise<void> {
    this.#isInterrupted = true
    await this.run()
  }

  /** Cleans up and ends the process when it is interrupted. */
  onInterruption(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => void this.interrupt().finally(() => process.exit(130)))
    }
  }
}
