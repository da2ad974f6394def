/** What of a connection's output is not with the kernel yet? */
import type { Bytes } from '../../../lib/runtime/clock.ts'
import { failure, pieceBytes, type SystemCalls } from './system-calls.ts'

/** Bytes, or text that is Latin-1. */
export type Piece = Uint8Array | string

/** The pieces in their order. */
export class UnsentBytes {
  length: Bytes = 0
  #pieces: Piece[] = []
  #sentOfFirst: Bytes = 0

  add(piece: Piece): void {
    if (piece.length === 0) return
    this.#pieces.push(piece)
    this.length += piece.length
  }

  /** @param isEndNext the connection is ended right after it @returns 0 when all of it is sent, or the negative errno that stopped it */
  sendTo(fd: number, calls: SystemCalls, isEndNext: boolean): number {
    while (this.#pieces.length > 0) {
      const isOne = this.length <= pieceBytes && this.#sentOfFirst === 0
      const taken = isOne
        ? calls.sendTogether(fd, this.#pieces, this.length, isEndNext)
        : calls.sendBytes(
            fd,
            this.#first(),
            this.#sentOfFirst,
            isEndNext || this.#pieces.length > 1,
          )
      if (taken >= 0) this.#drop(taken)
      else if (taken !== failure.interrupted) return taken
    }
    return 0
  }

  #first(): Uint8Array {
    const [piece = ''] = this.#pieces
    if (typeof piece !== 'string') return piece
    const bytes = Buffer.from(piece, 'latin1')
    this.#pieces[0] = bytes
    return bytes
  }

  #drop(taken: Bytes): void {
    this.length -= taken
    let left = this.#sentOfFirst + taken
    let [first] = this.#pieces
    while (first !== undefined && left >= first.length) {
      left -= first.length
      this.#pieces.shift()
      ;[first] = this.#pieces
    }
    this.#sentOfFirst = left
  }
}
