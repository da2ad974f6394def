/** How does an answer without a length get one, so that guests need not read its framing? */
import type { Bytes } from '../runtime/clock.ts'

/** Longer ones go on as they come. */
const mostHeld: Bytes = 64 * 1024

/** An answer that is held until it is whole, or too long for that. */
export class UnsizedAnswer {
  readonly headers: readonly string[]
  readonly body: Buffer[] = []
  #length: Bytes = 0

  private constructor(headers: readonly string[]) {
    this.headers = headers
  }

  /** @returns `undefined` for an answer that has its length, or has no body (RFC 9110 §8.6) */
  static of(method: string, status: number, headers: readonly string[]): UnsizedAnswer | undefined {
    if (method === 'HEAD' || status === 204 || status === 304) return undefined
    for (let index = 0; index < headers.length; index += 2) {
      if (headers[index]?.toLowerCase() === 'content-length') return undefined
    }
    return new UnsizedAnswer(headers)
  }

  /** @returns false once it is too long to be held; this part of it is not in `body` then */
  take(chunk: Buffer): boolean {
    this.#length += chunk.length
    if (this.#length > mostHeld) return false
    this.body.push(chunk)
    return true
  }

  /** The headers of the whole answer. */
  sizedHeaders(): string[] {
    return [...this.headers, 'Content-Length', String(this.#length)]
  }
}
