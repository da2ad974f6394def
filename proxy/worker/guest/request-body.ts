/** How is the body of a guest's request read? Whole, before the request goes to the agent. */
import type { IncomingMessage } from 'node:http'
import type { Bytes } from '../../../lib/runtime/clock.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import type { Holding } from './ledger.ts'

export interface RequestBodyOptions {
  /** @see WorkerConfig limits */
  readonly limit: Bytes
  /** Counts the bytes; `undefined` once the connection is not counted any more. */
  readonly connection: { readonly holding: Holding | undefined }
  /** All of it has come. */
  readonly onEnd: (bytes: Bytes) => void
  readonly refuse: (code: ReasonCode) => void
  /** For what is thrown by the others. */
  readonly failed: (cause: unknown) => void
}

/**
 * A guest that sends its few bytes slowly would otherwise hold one of the connections to the agent that all guests share.
 */
export class RequestBody {
  readonly #options: RequestBodyOptions
  #chunks: Buffer[] = []
  #content: Buffer | null = null
  #bytes: Bytes = 0
  #isReading = true

  constructor(request: IncomingMessage, options: RequestBodyOptions) {
    this.#options = options
    request.on('data', (chunk: Buffer) => this.#guarded(() => this.#keep(chunk)))
    request.on('end', () =>
      this.#guarded(() => {
        this.#isReading = false
        if (this.#bytes > 0) this.#content = Buffer.concat(this.#chunks)
        this.#chunks = []
        options.onEnd(this.#bytes)
      }),
    )
  }

  /** The whole body; `null` for none. */
  get content(): Buffer | null {
    return this.#content
  }

  /** Drops what has come, and what is still to come. */
  release(): void {
    this.#isReading = false
    if (this.#bytes > 0) this.#options.connection.holding?.holdBody(0)
    this.#bytes = 0
    this.#chunks = []
    this.#content = null
  }

  #guarded(act: () => void): void {
    if (!this.#isReading) return
    try {
      act()
    } catch (cause) {
      this.#options.failed(cause)
    }
  }

  #keep(chunk: Buffer): void {
    const { limit, connection, refuse } = this.#options
    const bytes = this.#bytes + chunk.length
    if (bytes > limit) {
      refuse('body_too_large')
    } else if (connection.holding?.holdBody(bytes) === true) {
      this.#bytes = bytes
      this.#chunks.push(chunk)
    } else {
      refuse('overloaded')
    }
  }
}
