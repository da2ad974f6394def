/** When is which descriptor of this worker looked at? One epoll set for all of them, which Node's event loop watches. */
import { closeSync, openSync } from 'node:fs'
import { watchReadable, type Waiting } from '../../../lib/linux/libc.ts'
import { epoll, SystemCalls, type Ready } from './system-calls.ts'
import { systemClock, type Count, type Milliseconds } from '../../../lib/runtime/clock.ts'
import { FairReads, type Readable } from './fair-reads.ts'

/** Whoever has a descriptor in the set. */
export interface Watched {
  /** @param events bits of `epoll` */
  ready(events: number): void
}

/** A descriptor that is read before it is watched: most guests get their answer within a moment and are gone. */
export interface WatchedLater {
  /** Called once, unless it is forgotten before. */
  watchNow(): void
}

/** How long a guest that waits for an answer may be gone without being noticed. */
const late: Milliseconds = 20

/** For a socket, once for each change. That it can be written to is rarely worth an event. */
const input = (epoll.readable | epoll.endCame | epoll.edge) >>> 0
const inputAndRoom = (input | epoll.writable) >>> 0
/**
 * For a listening socket, as long as a connection waits. All processes that share it are woken: EPOLLEXCLUSIVE would spare those that wait
 * in the set itself, and Node's loop waits for the set from outside.
 * @see ep_poll_callback() in the kernel's fs/eventpoll.c
 */
const newConnections = epoll.readable

/** The descriptors of one worker. */
export class RawLoop {
  readonly calls = new SystemCalls()
  readonly #set: number
  readonly #waiting: Waiting
  /** By descriptor. A number that the kernel gives again has another generation, so that a late event never reaches its next owner. */
  readonly #watched: (Watched | undefined)[] = []
  readonly #generations: Count[] = []
  #size: Count = 0
  readonly #later = new Set<WatchedLater>()
  readonly #soon = new Set<WatchedLater>()
  #isLaterScheduled = false
  #isSoonScheduled = false
  readonly #reads = new FairReads()
  #areReadsScheduled = false
  #isTurning = false
  /** A descriptor to give up when there is no other, see {@link shed}. */
  #reserve = openReserve()
  readonly #event: Ready = { events: 0, fd: 0, generation: 0 }

  /** @throws Error when the kernel has no room for the set */
  constructor() {
    this.#set = this.calls.openEpoll()
    if (this.#set < 0) throw new Error(`Cannot make an epoll set: errno ${-this.#set}`)
    this.#waiting = watchReadable(this.#set, () => this.#turn())
    this.#waiting.unref()
  }

  /** Has it watched after {@link late}. */
  watchLater(one: WatchedLater): void {
    this.#later.add(one)
    if (this.#isLaterScheduled) return
    this.#isLaterScheduled = true
    systemClock.schedule(late, () => {
      this.#isLaterScheduled = false
      watchAll(this.#later)
    })
  }

  /** Has it watched at the end of this turn of the event loop, if it is still there. */
  watchSoon(one: WatchedLater): void {
    this.#soon.add(one)
    if (!this.#isTurning && !this.#isSoonScheduled) {
      this.#isSoonScheduled = true
      setImmediate(() => {
        this.#isSoonScheduled = false
        watchAll(this.#soon)
      })
    }
  }

  /** Has it read when its source has its turn. */
  readSoon(one: Readable): void {
    this.#reads.add(one)
    if (!this.#isTurning) this.#scheduleReads()
  }

  /** It is gone. */
  readNever(one: Readable): void {
    this.#reads.remove(one)
  }

  /** Nothing waits to be read. */
  get isAllRead(): boolean {
    return this.#reads.isEmpty
  }

  #scheduleReads(): void {
    if (this.#areReadsScheduled) return
    this.#areReadsScheduled = true
    setImmediate(() => {
      this.#areReadsScheduled = false
      this.#reads.run()
      if (!this.#reads.isEmpty) this.#scheduleReads()
    })
  }

  /** It is gone. */
  watchNever(one: WatchedLater): void {
    this.#later.delete(one)
    this.#soon.delete(one)
  }

  /** @returns 0, or a negative errno */
  watchSocket(fd: number, watched: Watched): number {
    return this.#watch(fd, input, watched)
  }

  /** @returns 0, or a negative errno */
  watchListener(fd: number, watched: Watched): number {
    return this.#watch(fd, newConnections, watched)
  }

  /** From now on it is reported as well when the kernel has room for more of what a socket sends. */
  watchWriting(fd: number): void {
    this.calls.rewatch(this.#set, fd, inputAndRoom, this.#generations[fd] ?? 0)
  }

  /** To be called before the descriptor is closed, or given away. */
  forget(fd: number): void {
    if (this.#watched[fd] === undefined) return
    this.#watched[fd] = undefined
    this.#generations[fd] = this.#nextGeneration(fd)
    this.#size -= 1
    // As with the sockets of Node: what is open keeps the process alive.
    if (this.#size === 0) this.#waiting.unref()
  }

  /** For a descriptor that stays open elsewhere. */
  unwatch(fd: number): void {
    if (this.#watched[fd] === undefined) return
    this.forget(fd)
    this.calls.unwatch(this.#set, fd)
  }

  /**
   * Accepts one connection and closes it, when this process has no descriptor left: the client would wait in vain otherwise.
   * @returns false when there is none
   */
  shed(listener: number): boolean {
    // There may have been none to take back the last time.
    this.#reserve ??= openReserve()
    if (this.#reserve === undefined) return false
    closeSync(this.#reserve)
    const fd = this.calls.accept(listener)
    if (fd >= 0) this.calls.close(fd)
    this.#reserve = openReserve()
    return fd >= 0
  }

  /** How many descriptors are watched now. */
  get size(): Count {
    return this.#size
  }

  close(): void {
    this.#waiting.close()
    this.calls.close(this.#set)
    if (this.#reserve !== undefined) closeSync(this.#reserve)
    this.#reserve = undefined
    this.#watched.length = 0
  }

  #nextGeneration(fd: number): Count {
    return ((this.#generations[fd] ?? 0) + 1) >>> 0
  }

  #watch(fd: number, interest: number, watched: Watched): number {
    const generation = this.#nextGeneration(fd)
    const done = this.calls.watch(this.#set, fd, interest, generation)
    if (done < 0) return done
    this.#watched[fd] = watched
    this.#generations[fd] = generation
    if (this.#size === 0) this.#waiting.ref()
    this.#size += 1
    return 0
  }

  /** What is left over makes the set readable still, so that timers and everything else of this process get their turn first. */
  #turn(): void {
    this.#isTurning = true
    try {
      this.#deliver()
      this.#reads.run()
    } finally {
      this.#isTurning = false
    }
    // Those that wait for compute stay for later: mostly they are answered and gone by then.
    watchAll(this.#soon)
    if (!this.#reads.isEmpty) this.#scheduleReads()
  }

  #deliver(): void {
    const event = this.#event
    const count = this.calls.events(this.#set)
    for (let place = 0; place < count; place += 1) {
      this.calls.eventAt(place, event)
      const { fd } = event
      if (event.generation === this.#generations[fd]) this.#watched[fd]?.ready(event.events)
    }
  }
}

function watchAll(waiting: Set<WatchedLater>): void {
  for (const one of waiting) {
    waiting.delete(one)
    one.watchNow()
  }
}

function openReserve(): number | undefined {
  try {
    return openSync('/dev/null', 'r')
  } catch {
    return undefined
  }
}
