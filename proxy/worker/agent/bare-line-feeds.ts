import type { Mender } from '../../../lib/fast-http/pooled-connection.ts'

const carriageReturn = 0x0d
const lineFeed = 0x0a

/**
 * Lets one answer of an agent end its head's lines in bare LF, as the error pages of Neutron's agent do since 26.0; haproxy takes
 * them, a strict reader does not. Only the first answer of a connection, which is every answer of that agent, and only when its
 * status line already ends so: everything else passes untouched.
 * @see RFC 9112 §2.2, neutron/agent/metadata/proxy_base.py
 */
export class BareHead implements Mender {
  isOver = false
  #isBare = false
  #previous = 0
  #lineBytes = 0

  /** @returns the same bytes, with CR before each bare LF of the head when its first line has one */
  mend(chunk: Buffer): Buffer {
    const pieces: Buffer[] = []
    let from = 0
    for (let at = 0; at < chunk.length && !this.isOver; at += 1) {
      const byte = chunk[at] ?? 0
      if (byte === lineFeed) {
        const isBare = this.#previous !== carriageReturn
        if (!isBare && !this.#isBare) this.isOver = true
        else if (isBare) {
          this.#isBare = true
          pieces.push(chunk.subarray(from, at), crlf)
          from = at + 1
        }
        if (this.#lineBytes === 0) this.isOver = true
        this.#lineBytes = 0
      } else if (byte !== carriageReturn) {
        this.#lineBytes += 1
      }
      this.#previous = byte
    }
    if (pieces.length === 0) return chunk
    pieces.push(chunk.subarray(from))
    return Buffer.concat(pieces)
  }
}

const crlf = Buffer.from('\r\n')
