/** Steps of a long test, each printed as it ends. */

/** Counts what passed and failed. */
export class Steps {
  readonly #title: string
  passed = 0
  failed = 0

  constructor(title: string) {
    this.#title = title
  }

  /** @param step returns a remark, or throws where the step failed */
  async run(
    name: string,
    step: () => Promise<string | undefined | void> | string | void,
  ): Promise<void> {
    const began = performance.now()
    const print = (verdict: string, remark: string): void => {
      const seconds = ((performance.now() - began) / 1_000).toFixed(1)
      const ending = remark === '' ? '' : `: ${remark}`
      process.stdout.write(`${verdict} ${this.#title}: ${name} (${seconds} s)${ending}\n`)
    }
    try {
      const remark = await step()
      this.passed += 1
      print('ok    ', remark ?? '')
    } catch (cause) {
      this.failed += 1
      print('FAILED', cause instanceof Error ? cause.message : String(cause))
    }
  }
}
