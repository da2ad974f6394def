/** How do connections of guests become requests with an identity? */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import { descriptorOf } from '../../../lib/sockets/descriptor.ts'
import { peerEnd } from '../../netns/socket-ends.ts'
import { describeDefect } from '../../../lib/runtime/defects.ts'
import { GuestConnection, lastWords } from './guest-connection.ts'
import { GuestResponse } from './guest-response.ts'
import { identifyGuest, type GuestListener } from '../shared/guest-identity.ts'
import { GuestListeners, type ListeningPlace } from './guest-listeners.ts'
import type { GuestServices } from './worker-context.ts'
import type { Shortage } from './accounts.ts'
import { parserRefusal, type ParserError } from '../../../lib/http/parser-refusal.ts'
import { GetServer } from '../../../lib/fast-http/get-server.ts'
import { RequestWire } from '../../../lib/fast-http/request-wire.ts'
import { answerCanary, isFromInside } from './canary.ts'
import type { ReadIngressPort } from './ingress-port.ts'
import type { ListenerDescription, WorkerConfig } from '../shared/protocol.ts'
import { arrivalOfSyn, sourceIpv4OfSyn, sourceMacOfSyn } from './source-mac.ts'

/** A guest that keeps its connection may have sent its next request before it can see that this one ends. */
const patience: Milliseconds = 500

/** Connections beyond what may be open that get a refusal. More are reset: they must not cost what the limits are there to save. */
const mostRefused: Count = 128

/** Where a connection's identity hangs. A symbol of ours: no byte of a guest can become one. */
const guestConnection = Symbol('guestConnection')
const canaryAnswer = Symbol('canaryAnswer')
interface GuestSocket extends Socket {
  [guestConnection]?: GuestConnection
  /** Instead of a guest: the canary's, or of something else inside the namespace. */
  [canaryAnswer]?: (request: IncomingMessage, response: GuestResponse) => void
}

export interface GuestServerOptions {
  readonly services: GuestServices
  /** @see WorkerConfig */
  readonly canary?: WorkerConfig['canary']
  /** @see WorkerConfig */
  readonly backlog: Count
  /** The SYN of an accepted connection that nothing was read from yet. */
  readonly savedSyn: (fd: number) => Uint8Array | undefined
  /** Of a connection that was accepted in a router's namespace. */
  readonly ingressPort: ReadIngressPort
}

/**
 * One HTTP server for all listening sockets of a worker. Requests that can be read in one way only are read from the raw socket; the
 * first thing on a connection that is something else goes to Node's server, and the connection with it. Node's parser stays strict;
 * what it calls an error gets a reason code, and what it lets through is judged again by request-head.ts.
 */
export class GuestServer {
  readonly #options: GuestServerOptions
  readonly #services: GuestServices
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
    this.#listeners = new GuestListeners(options, (socket, guests) => this.#accept(socket, guests))
    this.#http = this.#createHttpServer()
    const { headBytes, timeoutHead, timeoutKeepAlive } = options.services.limits
    this.#getServer = new GetServer({
      serve: (request, response) => {
        const socket: GuestSocket = response.socket
        socket[guestConnection]?.acceptGet(request, response)
      },
      takeOver: (wire) => this.#http.emit('connection', wire),
      timedOut: (socket: GuestSocket) => socket[guestConnection]?.cannotRead('request_timeout'),
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
  async listen(description: ListenerDescription, place: ListeningPlace): Promise<void> {
    await this.#listeners.listen(description, place)
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
        wire?.began(request, response)
        const head = {
          isBare: wire?.isHeadBare === true,
          isFollowed: wire?.isHeadFollowed === true,
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
  #guarded(
    stream: Duplex,
    serve: (socket: GuestSocket, wire: RequestWire | undefined) => void,
  ): void {
    const wire = stream instanceof RequestWire ? stream : undefined
    const socket: GuestSocket = wire?.client ?? (stream as Socket)
    try {
      serve(socket, wire)
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
    const { metrics, log } = this.#services
    metrics.defects += 1
    log.write('internal_error', () => describeDefect(cause))
    socket.destroy()
  }

  #accept(socket: GuestSocket, listener: GuestListener): void {
    socket.on('error', ignoreError)
    try {
      this.#connected(socket, listener)
    } catch (cause) {
      this.#failed(socket, cause)
    }
  }

  #connected(socket: GuestSocket, listener: GuestListener): void {
    const { metrics } = this.#services
    const fd = descriptorOf(socket) ?? -1
    const syn = this.#options.savedSyn(fd)
    const source = syn && sourceIpv4OfSyn(syn)
    const peer = source === undefined ? peerEnd(fd) : { address: source, interfaceIndex: 0 }
    if (peer === undefined) {
      // Reset before it was accepted.
      socket.destroy()
      return
    }
    if (this.#options.canary !== undefined && isFromInside(fd)) {
      socket[canaryAnswer] = this.#answerCanary
      this.#http.emit('connection', socket)
      return
    }
    const sourceMac = syn === undefined ? undefined : sourceMacOfSyn(syn)
    if (sourceMac === undefined) metrics.sourceMacUnknown += 1
    else metrics.sourceMacKnown += 1
    const { address } = peer
    const ingressPort = listener.isInRouter
      ? this.#options.ingressPort(fd, peer, listener)
      : undefined
    const arrival = syn && arrivalOfSyn(syn)
    const identity = identifyGuest(listener, address, sourceMac, ingressPort, arrival)
    const connection = new GuestConnection(socket, identity, this.#services)
    socket[guestConnection] = connection
    const holding = this.#services.ledger.open(listener.account, address, sourceMac, connection)
    if (typeof holding === 'string') {
      if (!this.#refuse(connection, holding)) return
    } else {
      connection.holding = holding
      this.#services.forwarder.noteGuest(identity)
      metrics.connectionsAccepted += 1
    }
    this.#connections.add(connection)
    metrics.connectionsOpen += 1
    socket.once('close', () => this.#closed(connection))
    connection.reader = this.#getServer.accept(socket)
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

  readonly #answerCanary = (request: IncomingMessage, response: GuestResponse): void => {
    const { forwarder } = this.#services
    const { canary } = this.#options
    if (canary) answerCanary(request, response, canary, (receiver) => forwarder.askReady(receiver))
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

function ignoreError(): void {
  // The guest is gone already.
}
