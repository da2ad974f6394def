import type { Terminal } from '../../lib/cli/terminal.ts'

/** Keeps what a command writes. */
export class FakeTerminal implements Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly columns: number | undefined
  readonly #closing = new AbortController()
  #out = ''
  #error = ''

  constructor(environment: Readonly<Record<string, string | undefined>> = {}, columns?: number) {
    this.environment = environment
    this.columns = columns
  }

  get closed(): AbortSignal {
    return this.#closing.signal
  }

  /** Whoever read standard output has gone. */
  close(): void {
    this.#closing.abort()
  }

  out(text: string): void {
    this.#out += text
  }

  error(text: string): void {
    this.#error += text
  }

  written(): { readonly out: string; readonly error: string } {
    return { out: this.#out, error: this.#error }
  }
}
