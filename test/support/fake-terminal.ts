import type { Terminal } from '../../lib/cli/terminal.ts'

/** Keeps what a command writes. */
export class FakeTerminal implements Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>
  #out = ''
  #error = ''

  constructor(environment: Readonly<Record<string, string | undefined>> = {}) {
    this.environment = environment
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
