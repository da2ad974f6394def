/**
 * Which system calls does the loop of raw sockets make, and in which memory? The only file that touches that memory: every length is checked
 * here. A call returns what the kernel returns, or a negative errno.
 */
import {
  declareCall,
  lastErrno,
  linux,
  stableMemory,
  type NumericCall,
  type StableMemory,
} from '../../../lib/linux/libc.ts'
import type { Bytes, Count } from '../../../lib/runtime/clock.ts'

/** What one call reads, or writes, at most. */
export const pieceBytes: Bytes = 64 * 1024

/** What is reported in one turn of the event loop. */
const mostEvents: Count = 256

/** @see linux/eventpoll.h: packed on x86-64, and only there. */
const event =
  process.arch === 'x64'
    ? ({ bytes: 12, fdAt: 4, generationAt: 8 } as const)
    : ({ bytes: 16, fdAt: 8, generationAt: 12 } as const)

/** @see linux/eventpoll.h, linux/tcp.h, linux/socket.h, linux/fcntl.h */
export const epoll = {
  readable: 0x001,
  writable: 0x004,
  failed: 0x008,
  hungUp: 0x010,
  endCame: 0x2000,
  /** Reported when it begins, and not for as long as it lasts. */
  edge: 0x8000_0000,
} as const
const control = { add: 1, remove: 2, change: 3 } as const
const shutdownWrite = 1
const messageMore = 0x8000
const messagePeek = 0x02
const closeOnExec = 0o2000000
const socketErrorOption = 4

/** Errors that are part of normal life, negative as calls return them. */
export const failure = {
  again: -11,
  interrupted: -4,
  already: -114,
  inProgress: -115,
  processFiles: -24,
  systemFiles: -23,
  brokenPipe: -32,
  connectionAborted: -103,
  connectionReset: -104,
  isConnected: -106,
  canceled: -125,
} as const

/** The calls of one loop, with memory of its own. */
export class SystemCalls {
  readonly #input: StableMemory = stableMemory(pieceBytes)
  readonly #output: StableMemory = stableMemory(pieceBytes)
  readonly #events: StableMemory = stableMemory(mostEvents * event.bytes)
  readonly #small: StableMemory = stableMemory(16)
  readonly #inputAt = Number(this.#input.address)
  readonly #outputAt = Number(this.#output.address)
  readonly #eventsAt = Number(this.#events.address)
  readonly #smallAt = Number(this.#small.address)
  readonly #accept4 = declareCall('int accept4(int, uint64_t, uint64_t, int)')
  readonly #recv = declareCall('int64_t recv(int, uint64_t, size_t, int)')
  readonly #send = declareCall('int64_t send(int, uint64_t, size_t, int)')
  readonly #close = declareCall('int close(int)')
  readonly #shutdown = declareCall('int shutdown(int, int)')
  readonly #setsockopt = declareCall('int setsockopt(int, int, int, uint64_t, uint32_t)')
  readonly #getsockopt = declareCall('int getsockopt(int, int, int, uint64_t, uint64_t)')
  readonly #socket = declareCall('int socket(int, int, int)')
  readonly #connect = declareCall('int connect(int, uint64_t, uint32_t)')
  readonly #epollCreate = declareCall('int epoll_create1(int)')
  readonly #epollControl = declareCall('int epoll_ctl(int, int, int, uint64_t)')
  readonly #epollWait = declareCall('int epoll_wait(int, uint64_t, int, int)')

  /** @returns a connected socket that never blocks and is closed on exec */
  accept(listener: number): number {
    return result(this.#accept4(listener, 0, 0, linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC))
  }

  openStream(family: number): number {
    const type = linux.SOCK_STREAM | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC
    return result(this.#socket(family, type, 0))
  }

  /** @param address a `sockaddr` @throws RangeError when it is longer than any */
  connect(fd: number, address: Uint8Array): number {
    this.#output.bytes.set(address, 0)
    return result(this.#connect(fd, this.#outputAt, address.length))
  }

  /** @returns how much {@link received} has now; 0 at the end of the connection */
  receive(fd: number): number {
    return result(this.#recv(fd, this.#inputAt, pieceBytes, linux.MSG_DONTWAIT))
  }

  /** @returns true when {@link receive} would bring something */
  hasInput(fd: number): boolean {
    return this.#recv(fd, this.#inputAt, 1, linux.MSG_DONTWAIT | messagePeek) > 0
  }

  /** A copy of what the last {@link receive} brought. */
  received(length: Bytes): Buffer {
    const copy = Buffer.allocUnsafe(Math.min(length, pieceBytes))
    this.#input.bytes.copy(copy, 0, 0, copy.length)
    return copy
  }

  /** Sends Latin-1, {@link pieceBytes} at most. @returns how many characters were taken */
  sendText(fd: number, text: string, hasMore: boolean): number {
    const length = this.#output.bytes.write(text, 0, pieceBytes, 'latin1')
    return this.#sendOutput(fd, length, hasMore)
  }

  /**
   * Sends {@link pieceBytes} at most.
   * @param hasMore the rest, or the end, follows at once
   * @returns how many bytes were taken
   */
  sendBytes(fd: number, bytes: Uint8Array, from: Bytes, hasMore: boolean): number {
    const length = Math.min(bytes.length - from, pieceBytes)
    const isAll = from === 0 && length === bytes.length
    this.#output.bytes.set(isAll ? bytes : bytes.subarray(from, from + length), 0)
    return this.#sendOutput(fd, length, hasMore || from + length < bytes.length)
  }

  /**
   * Sends pieces in one go: bytes, and text that is Latin-1.
   * @param length of all pieces
   * @returns how many bytes were taken
   * @throws RangeError when they are longer than {@link pieceBytes}
   */
  sendTogether(
    fd: number,
    pieces: readonly (Uint8Array | string)[],
    length: Bytes,
    hasMore: boolean,
  ): number {
    if (length > pieceBytes) throw new RangeError('The pieces are too long')
    let at = 0
    for (const piece of pieces) {
      if (typeof piece === 'string') this.#output.bytes.write(piece, at, 'latin1')
      else this.#output.bytes.set(piece, at)
      at += piece.length
    }
    return this.#sendOutput(fd, at, hasMore)
  }

  #sendOutput(fd: number, length: Bytes, hasMore: boolean): number {
    const flags = linux.MSG_NOSIGNAL | linux.MSG_DONTWAIT | (hasMore ? messageMore : 0)
    return result(this.#send(fd, this.#outputAt, length, flags))
  }

  /** No more is written; what was written arrives. */
  endWriting(fd: number): number {
    return result(this.#shutdown(fd, shutdownWrite))
  }

  close(fd: number): number {
    return result(this.#close(fd))
  }

  /** The other side gets a reset, whatever was written before. */
  reset(fd: number): number {
    this.#small.bytes.writeInt32LE(1, 0)
    this.#small.bytes.writeInt32LE(0, 4)
    this.#setsockopt(fd, linux.SOL_SOCKET, linux.SO_LINGER, this.#smallAt, 8)
    return this.close(fd)
  }

  /** @returns what has gone wrong with the socket, as a negative errno, or 0 */
  errorOf(fd: number): number {
    this.#small.bytes.writeInt32LE(0, 0)
    this.#small.bytes.writeInt32LE(4, 8)
    const done = this.#getsockopt(
      fd,
      linux.SOL_SOCKET,
      socketErrorOption,
      this.#smallAt,
      this.#smallAt + 8,
    )
    return done < 0 ? -lastErrno() : -this.#small.bytes.readInt32LE(0)
  }

  openEpoll(): number {
    return result(this.#epollCreate(closeOnExec))
  }

  /** @param generation comes back with each event of this descriptor */
  watch(set: number, fd: number, interest: number, generation: Count): number {
    return this.#control(control.add, set, fd, interest, generation)
  }

  /** Changes the interest; what is so already is reported at once. */
  rewatch(set: number, fd: number, interest: number, generation: Count): number {
    return this.#control(control.change, set, fd, interest, generation)
  }

  #control(how: number, set: number, fd: number, interest: number, generation: Count): number {
    const { bytes } = this.#small
    bytes.writeUInt32LE(interest, 0)
    bytes.writeInt32LE(fd, event.fdAt)
    bytes.writeUInt32LE(generation, event.generationAt)
    return result(this.#epollControl(set, how, fd, this.#smallAt))
  }

  unwatch(set: number, fd: number): number {
    return result(this.#epollControl(set, control.remove, fd, this.#smallAt))
  }

  /** Does not wait. @returns how many events there are, for {@link eventAt} */
  events(set: number): number {
    return result(this.#epollWait(set, this.#eventsAt, mostEvents, 0))
  }

  /** Reads an event into its three numbers. @param place below what {@link events} returned */
  eventAt(place: Count, into: Ready): void {
    const { bytes } = this.#events
    const at = Math.min(place, mostEvents - 1) * event.bytes
    into.events = bytes.readUInt32LE(at)
    into.fd = bytes.readInt32LE(at + event.fdAt)
    into.generation = bytes.readUInt32LE(at + event.generationAt)
  }
}

/** One event. */
export interface Ready {
  events: number
  fd: number
  generation: Count
}

/** All of these return -1 where they fail. */
function result(returned: ReturnType<NumericCall>): number {
  return returned < 0 ? -lastErrno() : returned
}
