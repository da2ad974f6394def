/** How do two processes exchange JSON, one value a line, when one of them may be hostile by now? */
import type { Readable, Writable } from 'node:stream'
import type { Bytes, Clock, Count, Milliseconds } from '../runtime/clock.ts'
import { JsonLines } from './json-lines.ts'

/**
 * What the other side did that none of ours does: `nonsense` is no JSON or too long a line, `flood` more than any of ours has to report,
 * `unread` means that it does not read what is sent to it.
 */
export type ChannelBreach = 'nonsense' | 'flood' | 'unread'

export interface JsonLineChannelOptions {
  readonly input: Readable
  readonly output: Writable
  /** Of one received line. */
  readonly longestLine: Bytes
  readonly clock: Clock
  /** No number of lines of it is too many. @default false */
  readonly isTrusted?: boolean
  /** One value after the other; never again after {@link JsonLineChannelOptions.onEnd}. */
  readonly onValue: (value: unknown) => void
  /** The other side is gone, or has committed a breach. Called once, and not after {@link JsonLineChannel.close}. */
  readonly onEnd: (breach: ChannelBreach | undefined) => void
}

/** Sent and not yet taken. Every listener of ten thousand namespaces takes 4 MB. */
const mostUnsent: Bytes = 16 * 2 ** 20
const period: Milliseconds = 1_000
/** In one period. A worker of ten thousand namespaces reports some hundred canaries a second. */
const mostLines: Count = 2_000
const mostBytes: Bytes = 16 * 2 ** 20

/** Both directions of one channel. It never waits, and what it holds is bounded. */
export class JsonLineChannel {
  readonly #options: JsonLineChannelOptions
  readonly #lines: JsonLines
  #isOver = false
  #periodBegan: Milliseconds
  #linesInPeriod: Count = 0
  #bytesInPeriod: Bytes = 0

  constructor(options: JsonLineChannelOptions) {
    const { input, output, longestLine, clock } = options
    this.#options = options
    this.#lines = new JsonLines(longestLine)
    this.#periodBegan = clock.now()
    input.on('data', (chunk: Buffer) => this.#take(chunk))
    for (const event of ['end', 'close', 'error'] as const) input.on(event, () => this.#end())
    // That the other side reads no more is noticed by the end of the input.
    output.on('error', () => undefined)
  }

  /** Sends a value. What cannot be sent any more is dropped. */
  send(value: unknown): void {
    const { output } = this.#options
    if (this.#isOver || output.destroyed) return
    output.write(`${JSON.stringify(value)}\n`)
    if (output.writableLength > mostUnsent) this.#end('unread')
  }

  /** Ends both directions at once. */
  close(): void {
    this.#isOver = true
    this.#options.input.destroy()
    this.#options.output.destroy()
  }

  /** Resolves once everything that was sent is out, or cannot be. */
  async flushed(): Promise<void> {
    const { output } = this.#options
    if (output.destroyed) return
    await new Promise<void>((resolve) => {
      output.once('close', resolve)
      output.end(resolve)
    })
  }

  #take(chunk: Buffer): void {
    if (this.#isOver) return
    let values: readonly unknown[]
    try {
      values = this.#lines.take(chunk)
    } catch {
      this.#end('nonsense')
      return
    }
    if (this.#options.isTrusted !== true && this.#isFlood(values.length, chunk.length)) {
      this.#end('flood')
      return
    }
    for (const value of values) if (!this.#isOver) this.#options.onValue(value)
  }

  #isFlood(lines: Count, bytes: Bytes): boolean {
    const now = this.#options.clock.now()
    if (now - this.#periodBegan >= period) {
      this.#periodBegan = now
      this.#linesInPeriod = 0
      this.#bytesInPeriod = 0
    }
    this.#linesInPeriod += lines
    this.#bytesInPeriod += bytes
    return this.#linesInPeriod > mostLines || this.#bytesInPeriod > mostBytes
  }

  #end(breach?: ChannelBreach): void {
    if (this.#isOver) return
    this.close()
    this.#options.onEnd(breach)
  }
}
