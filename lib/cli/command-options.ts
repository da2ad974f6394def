import { UsageError } from './usage-error.ts'

/** The options of one call of a command, read by name in camelCase: `--admin-socket` is `adminSocket`. */
export class CommandOptions {
  readonly #values: Readonly<Record<string, unknown>>

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values
  }

  /** The text given, or `undefined`. */
  text(name: string): string | undefined {
    const value = this.#values[name]
    return typeof value === 'string' ? value : undefined
  }

  /** Whether the option was given. */
  flag(name: string): boolean {
    return this.#values[name] === true
  }

  /** Everything given with a repeatable option, in order. */
  list(name: string): readonly string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? (value as readonly string[]) : []
  }

  /** A whole number in a range. @throws {UsageError} */
  integer(name: string, range: { readonly min: number; readonly max: number }): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (number >= range.min && number <= range.max) return number
    const option = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    throw new UsageError(`--${option} must be a whole number from ${range.min} to ${range.max}`)
  }
}
