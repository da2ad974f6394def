import { causeText } from './errors.ts'
import type { Clock, Milliseconds, MonotonicMilliseconds } from './clock.ts'
import type { Logger } from './log.ts'

/** Something that is started once and closed once. */
export interface Part {
  readonly name: string
  start(): Promise<void>
  close(): Promise<void>
}

/** Makes a part of two functions. @param start absent where there is nothing to start */
export function startable(
  name: string,
  start: (() => void | Promise<void>) | undefined,
  close: () => void | Promise<void>,
): Part {
  return {
    name,
    start: async () => start?.(),
    close: async () => close(),
  }
}

/** Makes a part of something that can be started and closed. @param one absent where it is not enabled */
export function partOf(
  name: string,
  one: { start(): void | Promise<void>; close(): void | Promise<void> } | undefined,
): Part {
  return {
    name,
    start: async () => one?.start(),
    close: async () => one?.close(),
  }
}

export interface LifecycleOptions {
  readonly logger: Logger
  readonly clock: Clock
  /** How long one part may take to close before it is left behind. */
  readonly closeLimit: Milliseconds
}

/**
 * Starts parts in order and closes them in reverse. When one cannot start, those already started are closed and the
 * error is thrown on: a half-started process is not left running.
 */
export class Lifecycle {
  readonly #options: LifecycleOptions
  readonly #started: Part[] = []
  #closing: Promise<void> | undefined

  constructor(options: LifecycleOptions) {
    this.#options = options
  }

  async start(parts: readonly Part[]): Promise<void> {
    for (const part of parts) {
      try {
        await part.start()
      } catch (cause) {
        await this.close()
        throw new Error(`Cannot start ${part.name}: ${causeText(cause)}`, { cause })
      }
      this.#started.push(part)
    }
  }

  /** May be called twice; the second call waits for the first. */
  async close(): Promise<void> {
    this.#closing ??= this.#closeAll()
    await this.#closing
  }

  async #closeAll(): Promise<void> {
    const { clock, logger, closeLimit } = this.#options
    for (const part of this.#started.toReversed()) {
      const limit = new AbortController()
      const late = clock.sleep(closeLimit, limit.signal).then(
        () => 'late' as const,
        () => 'cancelled' as const,
      )
      try {
        const outcome = await Promise.race([part.close().then(() => 'closed' as const), late])
        if (outcome === 'late') {
          logger.warn({ part: part.name, closeLimit }, 'Part did not close in time')
        }
      } catch (cause) {
        logger.error({ part: part.name, cause: causeText(cause) }, 'Part failed to close')
      } finally {
        limit.abort()
      }
    }
  }
}

/** Where signals come from: the process, or a test. */
type SignalSource = Pick<NodeJS.EventEmitter, 'on'>

/** `timeout`, a terminal and npm may each send the same stop, one after the other. */
const sameStop: Milliseconds = 2_000

/**
 * Resolves with the name of the first signal that stops the process. What follows at once belongs to the same stop and changes
 * nothing. A later one, while the process is still stopping, ends it at once, for the operator who does not want to wait.
 */
export function stopSignal(
  clock: Pick<Clock, 'now'>,
  source: SignalSource = process,
  end: () => void = () => process.exit(1),
): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let stoppedAt: MonotonicMilliseconds | undefined
    const stop = (signal: NodeJS.Signals): void => {
      if (stoppedAt !== undefined && clock.now() - stoppedAt >= sameStop) end()
      stoppedAt ??= clock.now()
      resolve(signal)
    }
    source.on('SIGTERM', stop)
    source.on('SIGINT', stop)
  })
}
