/** How do connections of guests become requests with an identity? */
import { closeSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import type { ByteSocket } from '../../../lib/sockets/byte-socket.ts'
import { describeDefect } from '../../../lib/runtime/defects.ts'
import { GuestConnection, lastWords } from './guest-connection.ts'
import { GuestResponse } from './guest-response.ts'
import type { GuestListener } from '../shared/guest-identity.ts'
import { GuestListeners, type ListeningPlace } from './guest-listeners.ts'
import type { WorkerContext } from './worker-context.ts'
import type { Shortage } from './accounts.ts'
import { parserRefusal, type ParserError } from '../../../lib/http/parser-refusal.ts'
import type { GetResponse } from '../../../lib/fast-http/get-response.ts'
import type { IncomingGet } from '../../../lib/fast-http/incoming-get.ts'
import { GetServer } from '../../../lib/fast-http/get-server.ts'
import { RequestWire } from '../../../lib/fast-http/request-wire.ts'
import { RawSocket } from '../raw/raw-socket.ts'
import type { RawLoop } from '../raw/raw-loop.ts'
import { identifyPeer, type Peer, type PeerOptions } from './identify-peer.ts'
import { answerCanary } from './canary.ts'
import type { ListenerDescription, WorkerConfig } from '../shared/protocol.ts'

/** A guest that keeps its connection may have sent its next request before it can see that this one ends. */
const patience: Milliseconds = 500

/** Connections beyond what may be open that get a refusal. More are reset: they must not cost what the limits are there to save. */
const mostRefused: Count = 128

/** Where a connection's identity hangs. A symbol of ours: no byte of a guest can become one. */
const guestConnection = Symbol('guestConnection')
const canaryAnswer = Symbol('canaryAnswer')
type CanaryAnswer = (
  request: IncomingMessage | IncomingGet,
  response: GuestResponse | GetResponse,
) => void
interface GuestSocket extends ByteSocket {
  [guestConnection]?: GuestConnection
  /** Instead of a guest: the canary's, or of something else inside the namespace. */
  [canaryAnswer]?: CanaryAnswer
}

export interface GuestServerOptions extends PeerOptions {
  readonly services: WorkerContext
  readonly loop: RawLoop
  /** @see WorkerConfig */
  readonly canary?: WorkerConfig['canary']
  /** @see WorkerConfig */
  readonly backlog: Count
}

/**
 * One HTTP server for all listening sockets of a worker. Requests that can be read in one way only are read from the raw socket; the
 * first thing on a connection that is something else goes to Node's server, and the connection with it. Node's parser stays strict;
 * what it calls an error gets a reason code, and what it lets through is judged again by request-head.ts.
 */
export class GuestServer {
  readonly #options: GuestServerOptions
  readonly #services: WorkerContext
  readonly #http: Server<typeof IncomingMessage, typeof GuestResponse>
  readonly #getServer: GetServer
  readonly #listeners: GuestListeners
  readonly #connections = new Set<GuestConnection>()
  /** Open, and not counted for their guests. */
  #refused: Count = 0
  #whenEmpty: (() => void) | undefined

  constructor(options: GuestServerOptions) {
    this.#options = options
    this.#services = options.services
    this.#listeners = new GuestListeners(options, (fd, guests) => this.#accept(fd, guests))
    this.#http = this.#createHttpServer()
    const { headBytes, timeoutHead, timeoutKeepAlive } = options.services.limits
    this.#getServer = new GetServer({
      serve: (request, response) => {
        const socket: GuestSocket = response.socket
        socket[canaryAnswer]?.(request, response)
        socket[guestConnection]?.acceptGet(request, response)
      },
      takeOver: (wire) => this.#http.emit('connection', wire),
      timedOut: (socket: GuestSocket) => {
        if (socket[guestConnection] === undefined) socket.destroy()
        else socket[guestConnection].cannotRead('request_timeout')
      },
      hold: (socket: GuestSocket, bytes) => {
        const connection = socket[guestConnection]
        if (connection?.holding?.holdInput(bytes) === false) connection.giveWay('source')
      },
      failed: (socket: GuestSocket, cause) => {
        this.#failed(socket, cause)
      },
      headBytes,
      timeoutHead,
      timeoutKeepAlive,
    })
  }

  /** @see GuestListeners.listen */
  listen(description: ListenerDescription, place: ListeningPlace): void {
    this.#listeners.listen(description, place)
  }

  /** Of the listening sockets of this moment. */
  descriptors(): readonly number[] {
    return this.#listeners.descriptors()
  }

  /** Stops accepting there. What is under way goes on; connections that wait for a further request end. */
  closeListeners(listenerIds: readonly number[]): void {
    const closing = this.#listeners.close(listenerIds)
    for (const connection of this.#connections) {
      if (closing.has(connection.identity.listener)) connection.retire('prompt')
    }
  }

  /** Stops accepting, waits for what is under way, and after the limit ends it. */
  async drain(limit: Milliseconds): Promise<void> {
    const { clock } = this.#services
    this.#listeners.closeAll()
    for (const connection of this.#connections) connection.retire('patient')
    const until = Math.min(patience, limit / 2)
    clock.schedule(until, () => {
      for (const connection of this.#connections) connection.retire('final')
    })
    clock.schedule(until + lastWords, () => {
      for (const connection of this.#connections) if (connection.isIdle) connection.destroy()
    })
    if (this.#connections.size > 0) {
      const empty = new Promise<void>((resolve) => (this.#whenEmpty = resolve))
      const cancel = clock.schedule(limit, () => {
        for (const connection of this.#connections) connection.destroy()
      })
      await empty
      cancel()
    }
    this.#http.close()
  }

  #createHttpServer(): Server<typeof IncomingMessage, typeof GuestResponse> {
    const { limits } = this.#services
    const server = createServer({
      ServerResponse: GuestResponse,
      insecureHTTPParser: false,
      requireHostHeader: false,
      maxHeaderSize: limits.headBytes,
      headersTimeout: limits.timeoutHead,
      requestTimeout: Math.max(limits.timeoutHead, limits.timeoutRequest),
      keepAliveTimeout: limits.timeoutKeepAlive,
      connectionsCheckingInterval: checkingInterval(limits.timeoutHead),
    })
    // Past this number Node drops header lines without a word, a second Host among them. The head's size bounds them.
    server.maxHeadersCount = 0
    const take = (
      request: IncomingMessage,
      response: GuestResponse,
      awaitsContinue: boolean,
    ): void =>
      this.#guarded(request.socket, (socket, wire) => {
        socket[canaryAnswer]?.(request, response)
        wire.began(request, response)
        const head = {
          isBare: wire.isHeadBare,
          isFollowed: wire.isHeadFollowed,
        }
        socket[guestConnection]?.accept(request, response, head, awaitsContinue)
      })
    server.on('request', (request, response) => take(request, response, false))
    server.on('checkContinue', (request, response) => take(request, response, true))
    server.on('checkExpectation', (request, response) => take(request, response, false))
    server.on('connect', (_request, stream) => {
      this.#guarded(stream, (socket) => {
        if (socket[canaryAnswer] !== undefined) socket.destroy()
        socket[guestConnection]?.refuseConnect()
      })
    })
    server.on('clientError', (error: ParserError, stream) => {
      this.#guarded(stream, (socket) => cannotRead(error, socket))
    })
    // Time limits of heads and requests are checked from this event on; this server itself never listens.
    server.emit('listening')
    return server
  }

  /** Whatever is thrown while a connection is served ends that connection, and nothing else. */
  #guarded(stream: Duplex, serve: (socket: GuestSocket, wire: RequestWire) => void): void {
    // All connections of Node's server are given to it here.
    if (!(stream instanceof RequestWire)) {
      stream.destroy()
      return
    }
    const socket: GuestSocket = stream.client
    try {
      serve(socket, stream)
    } catch (cause) {
      this.#failed(socket, cause)
    }
  }

  #failed(socket: GuestSocket, cause: unknown): void {
    const connection = socket[guestConnection]
    if (connection !== undefined) {
      connection.failed(cause)
      return
    }
    this.#defect(cause)
    socket.destroy()
  }

  #defect(cause: unknown): void {
    const { metrics, log } = this.#services
    metrics.defects += 1
    log.write('internal_error', () => describeDefect(cause))
  }

  /** @param fd of a connection: owned by this server from here on */
  #accept(fd: number, listener: GuestListener): void {
    let socket: RawSocket | undefined
    try {
      const peer = this.#identify(fd, listener)
      if (peer === undefined) {
        closeSync(fd)
        return
      }
      socket = new RawSocket(this.#options.loop, fd, sourceOf(peer, listener))
      this.#serve(socket, peer)
    } catch (cause) {
      if (socket === undefined) this.#defect(cause)
      else this.#failed(socket, cause)
    }
  }

  /** Never leaves a descriptor without an owner. */
  #identify(fd: number, listener: GuestListener): Peer | undefined {
    try {
      return identifyPeer(this.#options, fd, listener, this.#options.canary !== undefined)
    } catch (cause) {
      closeSync(fd)
      throw cause
    }
  }

  #serve(socket: RawSocket & GuestSocket, peer: Peer): void {
    if (peer === 'inside') {
      socket[canaryAnswer] = this.#answerCanary
      this.#getServer.accept(socket)
      return
    }
    const { metrics } = this.#services
    const { listener, address, sourceMac } = peer
    if (sourceMac === undefined) metrics.sourceMacUnknown += 1
    else metrics.sourceMacKnown += 1
    const connection = new GuestConnection(socket, peer, this.#services)
    socket[guestConnection] = connection
    const holding = this.#services.ledger.open(listener.account, address, sourceMac, connection)
    if (typeof holding === 'string') {
      if (!this.#refuse(connection, holding)) return
    } else {
      connection.holding = holding
      metrics.connectionsAccepted += 1
    }
    this.#connections.add(connection)
    metrics.connectionsOpen += 1
    socket.on('close', () => this.#closed(connection))
    connection.reader = this.#getServer.accept(socket)
    // Last: whatever it throws, the end of the connection gives back what it holds.
    if (connection.holding !== undefined) this.#services.forwarder.noteGuest(peer)
  }

  /** The refusal is written once a request has been read: many clients take an answer that comes before it for garbage. */
  #refuse(connection: GuestConnection, limit: Shortage): boolean {
    const { metrics, log } = this.#services
    metrics.countRefusedConnection(limit)
    if (this.#refused < mostRefused) {
      this.#refused += 1
      return true
    }
    log.write('too_many_connections', () => ({ ...connection.describe(), limit, isReset: true }))
    connection.reset()
    return false
  }

  readonly #answerCanary: CanaryAnswer = (request, response) => {
    const { forwarder } = this.#services
    const { canary } = this.#options
    if (canary)
      answerCanary(request, response, canary, (receiver) => forwarder.requestReady(receiver))
  }

  #closed(connection: GuestConnection): void {
    this.#services.metrics.connectionsOpen -= 1
    this.#connections.delete(connection)
    if (connection.holding === undefined) this.#refused -= 1
    try {
      connection.closed()
    } catch (cause) {
      connection.failed(cause)
    }
    if (this.#connections.size === 0) this.#whenEmpty?.()
  }
}

function cannotRead(error: ParserError, socket: GuestSocket): void {
  // More bytes after a request that was marked as the last: the answer under way ends the connection anyway.
  if (error.code === 'HPE_CLOSED_CONNECTION') return
  const code = parserRefusal(error)
  if (code === undefined || socket[canaryAnswer] !== undefined) socket.destroy()
  else socket[guestConnection]?.cannotRead(code)
}

/** Often enough that a limit is met within a quarter of itself, and never more than a few times a second in production. */
function checkingInterval(shortestLimit: Milliseconds): Milliseconds {
  return Math.min(1_000, Math.max(5, Math.floor(shortestLimit / 4)))
}

/** Whose turn a connection takes: the guest's, as well as it is known. The same address exists in many namespaces. */
function sourceOf(peer: Peer, listener: GuestListener): string {
  const who = peer === 'inside' ? peer : (peer.sourceMac ?? peer.address)
  return `${listener.scope} ${who}`
}
