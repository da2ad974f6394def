/** What is used of a connection, whichever way its bytes come: a socket of Node, or one of the worker's own loop? */
import type { Bytes, Milliseconds } from '../runtime/clock.ts'

/** The part of `net.Socket` that HTTP is read and written with; both kinds behave alike in it. */
export interface ByteSocket {
  readonly destroyed: boolean
  /** False once it was ended, or it is gone. */
  readonly writable: boolean
  /** Taken from the writer, and not with the kernel yet. */
  readonly writableLength: Bytes
  readonly timeout?: Milliseconds | undefined
  /** Something has come that was not read yet. Absent where what comes is read at once. */
  readonly hasUnread?: boolean
  // eslint-disable-next-line typescript/no-explicit-any -- as Node has it
  on(event: string, listener: (...values: any[]) => void): unknown
  // eslint-disable-next-line typescript/no-explicit-any -- as Node has it
  once(event: string, listener: (...values: any[]) => void): unknown
  // eslint-disable-next-line typescript/no-explicit-any -- as Node has it
  off(event: string, listener: (...values: any[]) => void): unknown
  listenerCount(event: string): number
  write(bytes: Uint8Array | string, done?: (cause?: Error | null) => void): boolean
  write(
    text: Uint8Array | string,
    encoding?: BufferEncoding,
    done?: (cause?: Error | null) => void,
  ): boolean
  cork(): void
  /**
   * What is written next is the last, and the connection is ended or closed before anything else happens: the kernel may send that end in
   * the same packet. Absent where it cannot.
   */
  holdForEnd?(): void
  uncork(): void
  end(bytes?: Uint8Array | string): unknown
  pause(): unknown
  resume(): unknown
  setTimeout(span: Milliseconds): unknown
  destroy(cause?: Error): unknown
  destroySoon(): void
  resetAndDestroy(): unknown
}
