/**
 * Over which connections do requests go to one origin? Node's own pool costs a tenth of a short exchange, for copies of options and names by
 * which it distinguishes origins, certificates and families. Here each origin has a pool of its own.
 */
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectSecurely, type SecureContext } from 'node:tls'
import { systemClock, type Count, type Milliseconds } from '../runtime/clock.ts'

/** Where connections lead, and how many there may be. */
export interface ConnectionPoolOptions {
  readonly isSecure: boolean
  /** A name or an address, IPv6 without brackets. */
  readonly hostname: string
  readonly tcpPort: number
  /** At most so many at a time; requests beyond wait. */
  readonly connections: Count
  /** With the TLS handshake. */
  readonly timeoutConnect: Milliseconds
  readonly tls: {
    readonly secureContext?: SecureContext | undefined
    readonly rejectUnauthorized: boolean
  }
}

/** Who wants a connection. */
export interface ConnectionTaker {
  /** Whether it still wants one. */
  isWaiting(): boolean
  /**
   * @param socket connected, and nothing else is on it
   * @param isReused it has had a request before, so the server may have ended it already
   */
  take(socket: Socket, isReused: boolean): void
  failed(cause: Error, socket: Socket): void
}

/** The time for one phase of an exchange is over. */
export class ExchangeTimeout extends Error {
  override readonly name = 'ExchangeTimeout'
}

/** Time on the wire is real time, as it is for Node's server. */
const clock = systemClock

/** A connection that is not used is closed after that, or a second before the time that the server announces. */
const longestIdle: Milliseconds = 4_000
const announcedMargin: Milliseconds = 1_000

/** Connections to one origin, each with one request at a time. The one used last is used next, and the others may grow too old. */
export class ConnectionPool {
  readonly #options: ConnectionPoolOptions
  readonly #open = new Set<Socket>()
  readonly #idle: Socket[] = []
  readonly #waiting: ConnectionTaker[] = []
  /** Of TLS, so that the next handshake is short. */
  #session: Buffer | undefined

  constructor(options: ConnectionPoolOptions) {
    this.#options = options
  }

  /** Calls the taker once: at once, when it is connected, or when others have enough. */
  request(taker: ConnectionTaker): void {
    const idle = this.#popIdle()
    if (idle !== undefined) {
      idle.off('data', endsUnexpected)
      taker.take(idle, true)
    } else if (this.#open.size < this.#options.connections) {
      this.#connect(taker)
    } else {
      this.#waiting.push(taker)
    }
  }

  /** Takes a connection back, on which an answer has ended. @param announced after which the server closes it */
  release(socket: Socket, announced?: Milliseconds): void {
    const limit = Math.min((announced ?? Infinity) - announcedMargin, longestIdle)
    if (!isUsable(socket) || limit <= 0) {
      socket.destroy()
      return
    }
    const next = this.#nextWaiting()
    if (next !== undefined) {
      next.take(socket, true)
      return
    }
    if (socket.timeout !== limit) socket.setTimeout(limit)
    socket.once('data', endsUnexpected)
    this.#idle.push(socket)
  }

  /** Ends every connection. Who waits is not called any more. */
  close(): void {
    this.#waiting.length = 0
    for (const socket of this.#open) socket.destroy()
  }

  /** An ended socket is not closed in the same turn: a whole pool whose time was over at once lay here, and each request failed. */
  #popIdle(): Socket | undefined {
    let idle = this.#idle.pop()
    while (idle !== undefined && !isUsable(idle)) idle = this.#idle.pop()
    return idle
  }

  #connect(taker: ConnectionTaker): void {
    const { isSecure, timeoutConnect } = this.#options
    const socket = isSecure ? this.#newSecureSocket() : this.#newSocket()
    let isConnected = false
    let cause: Error | undefined
    this.#open.add(socket)
    const giveUp = clock.schedule(timeoutConnect, () => {
      socket.destroy(new ExchangeTimeout('no connection in time'))
    })
    socket.on('error', (error) => {
      cause = error
    })
    socket.on('timeout', () => {
      if (this.#idle.includes(socket)) socket.destroy()
    })
    socket.once('close', () => {
      giveUp()
      this.#gone(socket, cause)
      if (!isConnected) taker.failed(cause ?? new Error('The connection ended'), socket)
    })
    socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      isConnected = true
      giveUp()
      if (taker.isWaiting()) taker.take(socket, false)
      else this.release(socket)
    })
  }

  #newSocket(): Socket {
    const { hostname: host, tcpPort: port } = this.#options
    return connect({ host, port })
  }

  #newSecureSocket(): Socket {
    const { hostname: host, tcpPort: port, tls } = this.#options
    const socket = connectSecurely({
      host,
      port,
      ...tls,
      ALPNProtocols: ['http/1.1'],
      // RFC 6066 §3: addresses are not permitted there.
      servername: isIP(host) === 0 ? host : '',
      ...(this.#session !== undefined && { session: this.#session }),
    })
    // A handshake is several writes, and a request follows the last one.
    socket.setNoDelay(true)
    socket.on('session', (session: Buffer) => {
      this.#session = session
    })
    return socket
  }

  #gone(socket: Socket, cause: Error | undefined): void {
    this.#open.delete(socket)
    const place = this.#idle.indexOf(socket)
    if (place >= 0) this.#idle.splice(place, 1)
    if (cause !== undefined) this.#session = undefined
    const next = this.#nextWaiting()
    if (next !== undefined) this.#connect(next)
  }

  #nextWaiting(): ConnectionTaker | undefined {
    let next = this.#waiting.shift()
    while (next?.isWaiting() === false) next = this.#waiting.shift()
    return next
  }
}

/** Whether neither side has ended it, as far as is known here. */
function isUsable(socket: Socket): boolean {
  return !socket.destroyed && socket.writable && !socket.readableEnded
}

/** What comes while nothing is requested must not be read as the answer to the next request. */
function endsUnexpected(this: Socket): void {
  this.destroy()
}
