/** How is HTTP read from proxies, whichever way they connected, and when does each of their connections end? */
import { IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import type { Server as NetServer, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Bytes, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { endWithRefusal, refuseExpectation } from '../../lib/http/node-refusals.ts'
import { parserRefusal, type ParserError } from '../../lib/http/parser-refusal.ts'
import type { ReasonCode } from '../../lib/runtime/reason-codes.ts'
import type { Peer } from '../peers/lookup-key.ts'

export interface ListenerLimits {
  /** Of a request's head. Proxies add to what guests send, so it is more than they allow a guest. */
  readonly headBytes: Bytes
  readonly timeoutHead: Milliseconds
  /** From the first byte of a request to the last of its body. */
  readonly timeoutRequest: Milliseconds
  readonly timeoutKeepAlive: Milliseconds
  readonly connections: Count
  /** How long requests that are under way at a stop may take, while others are served. */
  readonly drain: Milliseconds
}

/** Counts requests that are refused before their target is read. */
export interface UnreadableObserver {
  unreadable(code: ReasonCode): void
}

/** Who answers requests. */
export interface RequestHandler {
  handle(peer: Peer, request: IncomingMessage, response: ServerResponse): Promise<void>
}

export interface AgentServerOptions<HttpServer extends Server> {
  readonly handler: RequestHandler
  readonly limits: ListenerLimits
  readonly observer: UnreadableObserver | undefined
  /** Makes the server of `node:http` or `node:https`. Connections are given to it; it never listens. */
  readonly create: (options: ServerOptions) => HttpServer
}

/** For what is under way when the listener stops accepting. Workers wait 5 s for an agent, of which the next one needs the rest to start. */
const lastAnswers: Milliseconds = 2_000

/** Where a connection is kept on its socket. A symbol: no byte of a peer can become one. */
const ofSocket = Symbol('connection')
interface ServedSocket extends Socket {
  [ofSocket]?: ServedConnection
}

/** One connection of a peer, on which one request at a time is answered. */
export class ServedConnection {
  readonly peer: Peer
  readonly #socket: Socket
  readonly #refuse: (code: ReasonCode) => void
  /** The latest; once it is with the kernel, the connection is idle. */
  #response: ServerResponse | undefined
  /** The one that was the latest when that began. */
  #before: ServerResponse | undefined
  #isRepeatable = true
  #isEnding = false

  constructor(peer: Peer, socket: Socket, refuse: (code: ReasonCode) => void) {
    this.peer = peer
    this.#socket = socket
    this.#refuse = refuse
  }

  get isIdle(): boolean {
    return isOver(this.#response)
  }

  /**
   * The peer may have the whole answer while Node still waits for room to write its end, which is no byte at all: so one request may come
   * behind an answer that is only written, and no second one.
   */
  get mayRequest(): boolean {
    return this.isIdle || (this.#response?.writableEnded === true && isOver(this.#before))
  }

  /** What is under way is not sent again by a proxy that loses its answer. */
  get isOnlyChance(): boolean {
    return !this.#isRepeatable && !this.isIdle
  }

  /** The request that is under way now is answered, or will never be. */
  settled(): Promise<void> {
    const response = this.#response
    if (response === undefined || this.isIdle) return Promise.resolve()
    return new Promise((resolve) => response.once('close', resolve))
  }

  /** @param method RFC 9110 §9.2.2: sending some twice changes nothing */
  begin(response: ServerResponse, method: string | undefined): void {
    this.#before = this.#response
    this.#response = response
    this.#isRepeatable = method === 'GET' || method === 'HEAD'
    // Stated in the head, so that the peer sends nothing after this.
    if (this.#isEnding) response.shouldKeepAlive = false
  }

  /** A second request came while the first is being answered. */
  refusePipelined(): void {
    this.#refuse('request_pipelined')
    this.destroy()
  }

  /** Ends the connection as soon as it is idle. */
  end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    const response = this.#response
    if (response === undefined || this.isIdle) {
      this.#socket.end()
      return
    }
    response.shouldKeepAlive = false
    response.once('close', () => this.#socket.end())
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

function isOver(response: ServerResponse | undefined): boolean {
  return response === undefined || response.writableFinished || response.destroyed
}

/**
 * A request as `node:http` reads it, with one difference: one that comes while another is being answered stops the parser, as a
 * switch to another protocol does. Proxies never send one, while thousands fit into what is read at once, each with its objects.
 */
class PeerRequest extends IncomingMessage {
  readonly #isPipelined: boolean
  #isUpgrade: unknown = null

  constructor(socket: ServedSocket) {
    super(socket)
    const connection = socket[ofSocket]
    this.#isPipelined = connection?.mayRequest === false
    if (this.#isPipelined) connection?.refusePipelined()
  }

  get upgrade(): unknown {
    return this.#isPipelined || this.#isUpgrade
  }

  set upgrade(isUpgrade: unknown) {
    // The constructor of the parent sets it before there is a place for it.
    if (#isUpgrade in this) this.#isUpgrade = isUpgrade
  }
}

/** Reads requests from connections that a listener has accepted, and answers with the reason where it cannot. */
export class AgentServer<HttpServer extends Server = Server> {
  /** To be given accepted connections, by its event `connection`. */
  readonly http: HttpServer
  readonly #options: AgentServerOptions<HttpServer>
  readonly #connections = new Set<ServedConnection>()
  #isDraining = false
  #whenEmpty: (() => void) | undefined

  constructor(options: AgentServerOptions<HttpServer>) {
    this.#options = options
    this.http = this.#create()
  }

  /** Requests on the socket come from the peer, whatever their headers claim. Call it before anything is read. */
  open(socket: Socket, peer: Peer): ServedConnection {
    const connection = new ServedConnection(peer, socket, (code) => this.#count(code))
    const served: ServedSocket = socket
    served[ofSocket] = connection
    this.#connections.add(connection)
    socket.once('close', () => {
      this.#connections.delete(connection)
      if (this.#connections.size === 0) this.#whenEmpty?.()
    })
    if (this.#isDraining) connection.end()
    return connection
  }

  /** Makes room for a newcomer: the connection that has been open longest of those that are idle. */
  endOneIdle(): void {
    for (const connection of this.#connections) {
      if (!connection.isIdle) continue
      connection.destroy()
      return
    }
  }

  /** Serves on, until what is under way now is answered, and what came since that no proxy sends twice, or has had its time. */
  async settle(): Promise<void> {
    const answered = this.#answered()
    let late: NodeJS.Timeout | undefined
    const limit = new Promise((resolve) => {
      late = setTimeout(resolve, this.#options.limits.drain)
    })
    await Promise.race([answered, limit])
    clearTimeout(late)
  }

  /** Ends each connection as it becomes idle, and after a short time those that are left. The listener has stopped accepting. */
  async drain(): Promise<void> {
    this.#isDraining = true
    // What the kernel has of requests is read first.
    await new Promise((resolve) => setImmediate(resolve))
    for (const connection of this.#connections) connection.end()
    if (this.#connections.size > 0) {
      const empty = new Promise<void>((resolve) => (this.#whenEmpty = resolve))
      const late = setTimeout(
        () => {
          for (const connection of this.#connections) connection.destroy()
        },
        Math.min(this.#options.limits.drain, lastAnswers),
      )
      await empty
      clearTimeout(late)
    }
    // Stops the checks of time limits. It never listened, which is an error for the callback alone.
    this.http.close(() => undefined)
  }

  async #answered(): Promise<void> {
    let awaited = [...this.#connections]
    while (awaited.length > 0) {
      await Promise.all(awaited.map((one) => one.settled()))
      awaited = [...this.#connections].filter((one) => one.isOnlyChance)
    }
  }

  #create(): HttpServer {
    const { limits, create } = this.#options
    const server = create({
      IncomingMessage: PeerRequest,
      maxHeaderSize: limits.headBytes,
      headersTimeout: limits.timeoutHead,
      requestTimeout: limits.timeoutRequest,
      keepAliveTimeout: limits.timeoutKeepAlive,
      connectionsCheckingInterval: Math.min(1_000, limits.timeoutHead),
      // A guest's Host means nothing here, and HTTP/1.0 guests behind haproxy send none.
      requireHostHeader: false,
    })
    // Past this number Node drops header lines without a word: a guest behind haproxy that sends enough of them would have haproxy's own,
    // which come last, dropped. The head's size bounds them.
    server.maxHeadersCount = 0
    server.on('request', (request, response) => this.#serve(request, response))
    server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
      this.#count('expectation_failed')
      refuseExpectation(response)
    })
    server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
      if (!socket.destroyed) this.#refuse(socket, 'method_not_supported')
    })
    server.on('clientError', (error: ParserError, socket: Duplex) => {
      const code = parserRefusal(error)
      // An answer in the middle of another would be read as a part of it.
      const isIdle = (socket as ServedSocket)[ofSocket]?.isIdle === true
      if (code === undefined || !socket.writable || !isIdle) socket.destroy()
      else this.#refuse(socket, code)
    })
    // Time limits of heads and requests are checked from this event on.
    server.emit('listening')
    return server
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const connection = (request.socket as ServedSocket)[ofSocket]
    if (connection === undefined) {
      request.socket.destroy()
      return
    }
    connection.begin(response, request.method)
    void this.#options.handler.handle(connection.peer, request, response)
  }

  #refuse(socket: Duplex, code: ReasonCode): void {
    this.#count(code)
    endWithRefusal(socket, code)
  }

  #count(code: ReasonCode): void {
    this.#options.observer?.unreadable(code)
  }
}

/** How many connections a listener has; 0 while that is unknown. */
export function connectionsOf(listener: NetServer): Promise<Count> {
  return new Promise((resolve) => {
    listener.getConnections((error, count) => resolve(error ? 0 : count))
  })
}

/** Stops accepting. @returns when every connection is closed */
export async function closed(listener: NetServer): Promise<void> {
  if (!listener.listening) return
  await new Promise((resolve) => listener.close(resolve))
}
