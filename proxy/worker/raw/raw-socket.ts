/** How are bytes read from and written to one connection of the loop? */
import { EventEmitter } from 'node:events'
import { nameOfErrno } from '../../../lib/linux/libc.ts'
import {
  systemClock,
  type Bytes,
  type Cancel,
  type Milliseconds,
} from '../../../lib/runtime/clock.ts'
import type { ByteSocket } from '../../../lib/sockets/byte-socket.ts'
import type { RawLoop, Watched } from './raw-loop.ts'
import type { Readable } from './fair-reads.ts'
import { epoll, failure, pieceBytes } from './system-calls.ts'
import { UnsentBytes, type Piece } from './unsent-bytes.ts'

type Done = (cause?: Error | null) => void

/** Above that a writer has to wait for `drain`, as with Node. */
const enoughWritten: Bytes = 16 * 1024

const ends = epoll.endCame | epoll.hungUp | epoll.failed
const comes = epoll.readable | ends

/** A connected socket. Does what `net.Socket` does, as far as {@link ByteSocket} goes, with the same events. */
export class RawSocket extends EventEmitter implements ByteSocket, Watched, Readable {
  readonly fd: number
  /** Whose turn it takes to read. */
  readonly source: string
  destroyed = false
  writable = true
  timeout: Milliseconds | undefined
  readonly #loop: RawLoop
  /** Not with the kernel yet; the first may be partly. */
  #unsent: UnsentBytes | undefined
  #whenSent: Done[] = []
  #corked = 0
  #isEndNext = false
  #needsDrain = false
  #isWaitingToWrite = false
  /** What is to happen when all is sent. */
  #after: 'stay' | 'end' | 'destroy' = 'stay'
  #hasEndedWriting = false
  readonly #isOwn: boolean
  #isWatched = false
  #mayHaveInput: boolean
  /** The end came behind what is still to be read. */
  #isEndNear = false
  #hasEnded = false
  #isPaused = false
  #awaitsTurn = false
  #cancelTimeout: Cancel | undefined

  /**
   * Takes over an open descriptor. Reading begins with the next turn, so that listeners can be added before.
   * @param source the guest's address, so that guests take turns; absent for a connection of our own making
   */
  constructor(loop: RawLoop, fd: number, source?: string) {
    super()
    this.#loop = loop
    this.fd = fd
    this.source = source ?? `own ${fd}`
    // Of a connection that was just accepted, the request is mostly there already. Our own have nothing before we have written.
    this.#isOwn = source === undefined
    this.#mayHaveInput = !this.#isOwn
    if (this.#mayHaveInput) this.#awaitTurn()
    else this.watchNow()
  }

  /** Taken from the writer, and not with the kernel yet. */
  get writableLength(): Bytes {
    return this.#unsent?.length ?? 0
  }

  /** Looked up: before it is watched, and until its turn, something may have come unnoticed. */
  get hasUnread(): boolean {
    return !this.destroyed && !this.#hasEnded && this.#loop.calls.hasInput(this.fd)
  }

  /** Begins to wait for events, if it does not yet. */
  watchNow(): void {
    if (this.#isWatched || this.destroyed) return
    this.#isWatched = true
    const watched = this.#loop.watchSocket(this.fd, this)
    if (watched < 0) this.destroy(systemError('epoll_ctl', watched))
  }

  ready(events: number): void {
    const isBroken = (events & epoll.failed) !== 0
    // For a reader the error comes behind what arrived before it. Of a guest that is gone nothing is worth reading any more.
    if (isBroken && (this.#hasEnded || (this.#isPaused && !this.#isOwn))) {
      this.destroy(
        systemError('read', this.#loop.calls.errorOf(this.fd) || failure.connectionReset),
      )
      return
    }
    if ((events & epoll.writable) !== 0 && this.#isWaitingToWrite) {
      this.#isWaitingToWrite = false
      this.#flush()
    }
    if ((events & comes) === 0 || this.destroyed) return
    this.#mayHaveInput = true
    if ((events & ends) !== 0) this.#isEndNear = true
    if (this.#isPaused) return
    if (this.#isOwn) this.readNow()
    else this.#awaitTurn()
  }

  readNow(): void {
    this.#awaitsTurn = false
    this.#readPiece()
    // The end of an answer mostly comes with it.
    if (this.#isOwn && this.#mayHaveInput) this.#readPiece()
    if (this.#mayHaveInput && !this.#isPaused) this.#awaitTurn()
  }

  #readPiece(): void {
    if (this.destroyed || this.#isPaused || this.#hasEnded) return
    const { calls } = this.#loop
    const length = calls.receive(this.fd)
    if (length > 0) {
      // Less than there was room for is all there is, but for the end.
      this.#mayHaveInput = length === pieceBytes || this.#isEndNear
      if (!this.#isWatched) this.#loop.watchLater(this)
      this.emit('data', calls.received(length))
    } else if (length === 0) {
      this.#endCame()
    } else if (length === failure.again) {
      this.#mayHaveInput = false
      this.watchNow()
    } else if (length !== failure.interrupted) {
      this.destroy(systemError('read', length))
    }
  }

  #awaitTurn(): void {
    if (this.#awaitsTurn || this.destroyed || this.#hasEnded) return
    this.#awaitsTurn = true
    this.#loop.readSoon(this)
  }

  #endCame(): void {
    this.#hasEnded = true
    this.#mayHaveInput = false
    this.emit('end')
    if (this.#hasEndedWriting) this.destroy()
  }

  pause(): this {
    this.#isPaused = true
    return this
  }

  resume(): this {
    this.#isPaused = false
    if (this.#mayHaveInput) this.#awaitTurn()
    return this
  }

  write(data: Uint8Array | string, encodingOrDone?: BufferEncoding | Done, done?: Done): boolean {
    const whenDone = typeof encodingOrDone === 'function' ? encodingOrDone : done
    const encoding = typeof encodingOrDone === 'string' ? encodingOrDone : 'utf8'
    if (!this.writable) {
      if (whenDone !== undefined)
        process.nextTick(whenDone, systemError('write', failure.brokenPipe))
      return false
    }
    const bytes =
      typeof data === 'string' && encoding !== 'latin1' ? Buffer.from(data, encoding) : data
    if (this.writableLength > 0 || this.#corked > 0) this.#hold(bytes)
    else this.#sendNow(bytes)
    if (whenDone !== undefined) this.#callWhenSent(whenDone)
    if (this.writableLength < enoughWritten) return true
    this.#needsDrain = true
    return false
  }

  #sendNow(piece: Piece): void {
    const { calls } = this.#loop
    if (piece.length === 0) return
    const taken =
      piece.length > pieceBytes
        ? failure.again
        : typeof piece === 'string'
          ? calls.sendText(this.fd, piece, this.#isEndNext)
          : calls.sendBytes(this.fd, piece, 0, this.#isEndNext)
    if (taken === piece.length) {
      // Not from within an answer that may end the connection anyway.
      if (!this.#isWatched) this.#loop.watchSoon(this)
    } else if (taken >= 0) {
      this.#hold(typeof piece === 'string' ? piece.slice(taken) : piece.subarray(taken))
      this.#flush()
    } else if (taken === failure.again || taken === failure.interrupted) {
      this.#hold(piece)
      this.#flush()
    } else this.destroy(systemError('write', taken))
  }

  #hold(piece: Piece): void {
    this.#unsent ??= new UnsentBytes()
    this.#unsent.add(piece)
  }

  #callWhenSent(done: Done): void {
    if (this.destroyed) process.nextTick(done, systemError('write', failure.brokenPipe))
    else if (this.writableLength === 0) process.nextTick(done)
    else this.#whenSent.push(done)
  }

  #flush(): void {
    const failed = this.#unsent?.sendTo(this.fd, this.#loop.calls, this.#isEndNext) ?? 0
    if (failed === 0) this.#allSent()
    else if (failed === failure.again) {
      this.#isWaitingToWrite = true
      this.watchNow()
      if (!this.destroyed) this.#loop.watchWriting(this.fd)
    } else this.destroy(systemError('write', failed))
  }

  #allSent(): void {
    this.#unsent = undefined
    if (this.#whenSent.length > 0) {
      for (const done of this.#whenSent.splice(0)) process.nextTick(done)
    }
    if (!this.#isWatched) this.#loop.watchSoon(this)
    if (this.#after === 'destroy') this.destroy()
    else if (this.#after === 'end') this.#endWriting()
    if (!this.#needsDrain) return
    this.#needsDrain = false
    // Never before the writer knows that it has to wait.
    process.nextTick(drained, this)
  }

  cork(): void {
    this.#corked += 1
  }

  holdForEnd(): void {
    this.#isEndNext = true
  }

  uncork(): void {
    if (this.#corked > 0) this.#corked -= 1
    if (this.#corked === 0 && !this.destroyed && !this.#isWaitingToWrite) this.#flush()
  }

  end(data?: Uint8Array | string): this {
    if (!this.writable) return this
    this.#isEndNext = true
    if (data !== undefined) this.write(data)
    this.writable = false
    if (this.destroyed) return this
    this.#after = 'end'
    if (this.writableLength === 0) this.#endWriting()
    return this
  }

  #endWriting(): void {
    if (this.#hasEndedWriting || this.destroyed) return
    this.#hasEndedWriting = true
    this.#loop.calls.endWriting(this.fd)
    if (this.#hasEnded) this.destroy()
  }

  destroySoon(): void {
    this.writable = false
    this.#after = 'destroy'
    if (this.writableLength === 0) this.destroy()
  }

  destroy(cause?: Error): this {
    if (!this.destroyed) this.#end(cause, false)
    return this
  }

  resetAndDestroy(): this {
    if (!this.destroyed) this.#end(undefined, true)
    return this
  }

  #end(cause: Error | undefined, isReset: boolean): void {
    this.destroyed = true
    this.writable = false
    if (this.#isWatched) this.#loop.forget(this.fd)
    else this.#loop.watchNever(this)
    if (this.#awaitsTurn) this.#loop.readNever(this)
    if (isReset) this.#loop.calls.reset(this.fd)
    else this.#loop.calls.close(this.fd)
    this.#unsent = undefined
    this.#cancelTimeout?.()
    const lost = this.#whenSent
    this.#whenSent = []
    process.nextTick(closed, this, cause, lost)
  }

  /** Emits `timeout` when nothing of what was written has left for so long. 0 for never. */
  setTimeout(span: Milliseconds): this {
    this.timeout = span
    this.#cancelTimeout?.()
    this.#cancelTimeout = undefined
    if (span > 0 && !this.destroyed) this.#watchProgress(span)
    return this
  }

  #watchProgress(span: Milliseconds): void {
    const before = this.writableLength
    this.#cancelTimeout = systemClock.schedule(span, () => {
      if (this.destroyed) return
      if (this.writableLength === before) this.emit('timeout')
      else this.#watchProgress(span)
    })
  }
}

function drained(socket: RawSocket): void {
  if (!socket.destroyed) socket.emit('drain')
}

function closed(socket: RawSocket, cause: Error | undefined, lost: readonly Done[]): void {
  for (const done of lost) done(cause ?? systemError('write', failure.canceled))
  if (cause !== undefined) socket.emit('error', cause)
  socket.emit('close', cause !== undefined)
}

/** An error as Node's sockets have it. @param negative errno as the call returned it */
export function systemError(syscall: string, negative: number): NodeJS.ErrnoException {
  const code = nameOfErrno(-negative)
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall, errno: negative })
}
