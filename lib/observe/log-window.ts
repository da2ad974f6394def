/** Which of many like log lines are written? Their causes are outside: without a bound they fill the operator's disk. */
import type { Clock, Count, Milliseconds, Seconds } from '../runtime/clock.ts'

const span: Milliseconds = 10_000

interface Window {
  lines: Count
  suppressed: Count
}

export interface LogWindowOptions<Key> {
  readonly clock: Pick<Clock, 'schedule'>
  /** Lines of one key in ten seconds. */
  readonly most: Count
  /** Lines were left out. Called when the window ends, whether or not more comes. */
  readonly onSuppressed: (key: Key, left: { suppressed: Count; seconds: Seconds }) => void
}

/** So many lines of a key in ten seconds. */
export class LogWindow<Key> {
  readonly #options: LogWindowOptions<Key>
  readonly #windows = new Map<Key, Window>()

  constructor(options: LogWindowOptions<Key>) {
    this.#options = options
  }

  /** @returns false for a line to leave out */
  admit(key: Key): boolean {
    let window = this.#windows.get(key)
    if (window === undefined) {
      window = { lines: 0, suppressed: 0 }
      this.#windows.set(key, window)
      this.#options.clock.schedule(span, () => this.#end(key))
    }
    if (window.lines >= this.#options.most) {
      window.suppressed += 1
      return false
    }
    window.lines += 1
    return true
  }

  #end(key: Key): void {
    const { suppressed = 0 } = this.#windows.get(key) ?? {}
    this.#windows.delete(key)
    if (suppressed > 0) this.#options.onSuppressed(key, { suppressed, seconds: span / 1_000 })
  }
}
