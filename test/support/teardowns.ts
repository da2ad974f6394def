import type { Test } from 'tap'

/** What helpers need of a test: a place to say what has to be undone. */
export type Teardowns = Pick<Test, 'teardown'>

/** The same outside of tap. What was registered last is undone first. */
export class TeardownList implements Teardowns {
  readonly #steps: (() => unknown)[] = []

  teardown(step: () => unknown): void {
    this.#steps.push(step)
  }

  /** Undoes everything, also after a step that failed. @returns what the steps threw */
  async run(): Promise<readonly unknown[]> {
    const thrown: unknown[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step()
      } catch (cause) {
        thrown.push(cause)
      }
    }
    return thrown
  }
}
