/** How is a connection opened on which this worker sends? */
import { lookup } from 'node:dns'
import { isIP } from 'node:net'
import type { Connect } from '../../../lib/fast-http/request-pool.ts'
import { parseIpAddress } from '../../../lib/identity/ip-address.ts'
import { linux } from '../../../lib/linux/libc.ts'
import { systemClock, type Milliseconds } from '../../../lib/runtime/clock.ts'
import { socketAddress } from '../../linux/socket-address.ts'
import { unixAddress } from '../../linux/unix-address.ts'
import type { RawLoop, Watched } from './raw-loop.ts'
import { RawSocket, systemError } from './raw-socket.ts'
import { epoll, failure } from './system-calls.ts'

type Connected = Parameters<Connect>[0]

/** Where to: a `sockaddr` with its family. */
interface Place {
  readonly family: number
  readonly bytes: Uint8Array
}

/** Connects to a UNIX socket. The error has Node's codes: ENOENT, ECONNREFUSED, EAGAIN when its queue is full. */
export function unixConnector(loop: RawLoop, path: string): Connect {
  const place = { family: linux.AF_UNIX, bytes: unixAddress(path) }
  return (connected) => {
    open(loop, place, connected)
  }
}

/** Connects to the host of a URL without TLS. @see tcpConnector */
export function httpConnector(loop: RawLoop, url: string, timeout: Milliseconds): Connect {
  const { hostname, port } = new URL(url)
  return tcpConnector(loop, hostname.replace(/^\[|\]$/g, ''), Number(port) || 80, timeout)
}

/**
 * Connects by TCP: to an address, or to the first address of a name that takes the connection.
 * @param timeout for all of it; an error without a code comes then
 */
function tcpConnector(
  loop: RawLoop,
  host: string,
  tcpPort: number,
  timeout: Milliseconds,
): Connect {
  const known = isIP(host) === 0 ? undefined : placesOf([host], tcpPort)
  return (connected) => {
    const attempt = new TcpAttempt(loop, timeout, connected)
    if (known !== undefined) attempt.begin(known)
    else {
      lookup(host, { all: true }, (cause, addresses) => {
        if (cause === null)
          attempt.begin(
            placesOf(
              addresses.map(({ address }) => address),
              tcpPort,
            ),
          )
        else attempt.fail(cause)
      })
    }
  }
}

function placesOf(texts: readonly string[], tcpPort: number): readonly Place[] {
  return texts.flatMap((text) => {
    const address = parseIpAddress(text)
    return address === undefined ? [] : socketAddress(address, tcpPort)
  })
}

/** Tries the addresses of one host in turn. */
class TcpAttempt {
  readonly #loop: RawLoop
  readonly #connected: Connected
  readonly #giveUp: () => void
  #cancel: (() => void) | undefined
  #isOver = false

  constructor(loop: RawLoop, timeout: Milliseconds, connected: Connected) {
    this.#loop = loop
    this.#connected = connected
    this.#giveUp = systemClock.schedule(timeout, () => {
      this.fail(new Error('no connection in time'))
    })
  }

  begin([first, ...others]: readonly Place[]): void {
    if (this.#isOver) return
    if (first === undefined) {
      this.fail(new Error('the name has no address'))
      return
    }
    this.#cancel = open(this.#loop, first, (cause, socket) => {
      this.#cancel = undefined
      if (this.#isOver) socket?.destroy()
      else if (cause === null) this.#done(() => this.#connected(null, socket))
      else if (others.length > 0) this.begin(others)
      else this.fail(cause)
    })
  }

  fail(cause: Error): void {
    this.#done(() => this.#connected(cause, null))
  }

  #done(report: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#giveUp()
    this.#cancel?.()
    report()
  }
}

/** @returns what gives up, as long as nothing was called back */
function open(loop: RawLoop, { family, bytes }: Place, connected: Connected): () => void {
  const { calls } = loop
  const fd = calls.openStream(family)
  if (fd < 0) {
    return failLater(connected, systemError('socket', fd))
  }
  let outcome = calls.connect(fd, bytes)
  // To this host the handshake is over already; another call finds that out for less than an event costs.
  if (outcome === failure.inProgress) outcome = calls.connect(fd, bytes)
  if (outcome === 0 || outcome === failure.isConnected) {
    finish(loop, fd, connected)
    return () => undefined
  }
  if (outcome === failure.inProgress || outcome === failure.already) {
    const pending = new PendingConnection(loop, fd, connected)
    return () => pending.cancel()
  }
  calls.close(fd)
  return failLater(connected, systemError('connect', outcome))
}

/** Never from within the call that began it, whose caller does not know of it yet. */
function failLater(connected: Connected, cause: Error): () => void {
  process.nextTick(connected, cause, null)
  return () => undefined
}

function finish(loop: RawLoop, fd: number, connected: Connected): void {
  let socket: RawSocket
  try {
    socket = new RawSocket(loop, fd)
  } catch (cause) {
    failLater(connected, cause as Error)
    return
  }
  connected(null, socket)
}

const settled = epoll.writable | epoll.failed | epoll.hungUp

/** A handshake under way. */
class PendingConnection implements Watched {
  readonly #loop: RawLoop
  readonly #fd: number
  readonly #connected: Connected
  #isOver = false

  constructor(loop: RawLoop, fd: number, connected: Connected) {
    this.#loop = loop
    this.#fd = fd
    this.#connected = connected
    const watched = loop.watchSocket(fd, this)
    if (watched < 0) {
      this.#end(systemError('epoll_ctl', watched))
      return
    }
    loop.watchWriting(fd)
  }

  ready(events: number): void {
    if (this.#isOver || (events & settled) === 0) return
    const cause = this.#loop.calls.errorOf(this.#fd)
    if (cause < 0) {
      this.#end(systemError('connect', cause))
      return
    }
    this.#isOver = true
    this.#loop.unwatch(this.#fd)
    finish(this.#loop, this.#fd, this.#connected)
  }

  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#loop.forget(this.#fd)
    this.#loop.calls.close(this.#fd)
  }

  #end(cause: Error): void {
    this.cancel()
    failLater(this.#connected, cause)
  }
}
