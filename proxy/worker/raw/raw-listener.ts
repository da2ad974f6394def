/** How are connections accepted, many at a time, on one listening socket? */
import type { Cancel, Clock, Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import type { RawLoop, Watched } from './raw-loop.ts'
import { systemError } from './raw-socket.ts'
import { failure } from './system-calls.ts'

/** In one turn of the event loop: three milliseconds of work at the most, so that a crowd in front of a guest passes quickly. */
const mostOfTurn: Count = 64

/** For how long a socket is left alone on which nothing could be accepted: it is reported as ready all the time. */
const pause: Milliseconds = 50

export interface RawListenerOptions {
  /** A connection was accepted; whoever is called owns its descriptor. */
  readonly accepted: (fd: number) => void
  /** One could not be accepted. */
  readonly failed: () => void
  readonly clock: Clock
}

/** One listening socket, shared with other processes or not. */
export class RawListener implements Watched {
  readonly fd: number
  readonly #loop: RawLoop
  readonly #options: RawListenerOptions
  #isClosed = false
  #cancelPause: Cancel | undefined

  /**
   * Takes over a listening socket.
   * @throws Error when it cannot be watched; it stays open then
   */
  constructor(loop: RawLoop, fd: number, options: RawListenerOptions) {
    this.#loop = loop
    this.fd = fd
    this.#options = options
    const watched = loop.watchListener(fd, this)
    if (watched < 0) throw systemError('epoll_ctl', watched)
  }

  ready(): void {
    for (let left = mostOfTurn; left > 0 && !this.#isClosed; left -= 1) {
      const fd = this.#loop.calls.accept(this.fd)
      if (fd >= 0) this.#options.accepted(fd)
      else if (fd === failure.again) return
      else if (fd === failure.processFiles || fd === failure.systemFiles) {
        this.#options.failed()
        if (!this.#loop.shed(this.fd)) {
          this.#pause()
          return
        }
      } else if (fd !== failure.connectionAborted && fd !== failure.interrupted) {
        this.#options.failed()
        this.#pause()
        return
      }
    }
  }

  /** What is short may be there again in a moment; the connections wait in the socket's queue. */
  #pause(): void {
    this.#loop.unwatch(this.fd)
    this.#cancelPause = this.#options.clock.schedule(pause, () => {
      if (this.#loop.watchListener(this.fd, this) >= 0) return
      this.#options.failed()
      this.#pause()
    })
  }

  /** Stops accepting and closes the socket. */
  close(): void {
    if (this.#isClosed) return
    // Its number may be another socket's at once, with guests of another network.
    this.#isClosed = true
    this.#cancelPause?.()
    // Other processes have it open as well, so that closing alone would leave it in the set.
    this.#loop.unwatch(this.fd)
    this.#loop.calls.close(this.fd)
  }
}
