import { inspect } from 'node:util'

const redacted = '[redacted]'

/**
 * A value that must not reach a log, an error, an explain output or a dump. Only {@link Secret.reveal} gives it up,
 * so a search for that word finds every place that uses one.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return redacted
  }

  toJSON(): string {
    return redacted
  }

  [inspect.custom](): string {
    return redacted
  }
}
