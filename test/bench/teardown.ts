/** What has to be undone however a run ends: processes, namespaces, kernel limits. The last begun is undone first. */
export class Teardown {
  readonly #steps = new Set<() => void | Promise<void>>()

  /** @returns does the step now, once, and takes it off the list */
  add(step: () => void | Promise<void>): () => Promise<void> {
    this.#steps.add(step)
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

  /** Cleans up and ends the process when it is interrupted. */
  onInterruption(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => void this.run().finally(() => process.exit(130)))
    }
  }
}
