/**
 * How are requests sent to another service? By Node's own client, with a time limit for each phase of an exchange. Where a service
 * closes each connection it costs two thirds of what undici does, and a connection may end while its answer is paused.
 */
import { Agent, request as newRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as SecureAgent } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SecureContext } from 'node:tls'
import { systemClock, type Cancel, type Count, type Milliseconds } from '../runtime/clock.ts'
import { ReadTurns, type ReadTurn } from './read-turns.ts'

/** Where a request goes. */
export interface HttpOrigin {
  readonly protocol: string
  /** A name or an address, IPv6 without brackets. */
  readonly hostname: string
  readonly port: string
  /** Value of Host. */
  readonly host: string
}

/** Limits and certificates of all exchanges. */
export interface HttpClientOptions {
  /** Whether connections are kept for the next request: then one may be closed in the moment it is used. */
  readonly keepsConnections: boolean
  /** At most so many to one origin where they are kept: requests beyond wait, and get the next one that is free. */
  readonly connections: Count
  /** With the TLS handshake. */
  readonly timeoutConnect: Milliseconds
  /** From the request being sent to the head of its answer. */
  readonly timeoutHeaders: Milliseconds
  /** Between two parts of a body. */
  readonly timeoutBody: Milliseconds
  readonly tls: {
    readonly secureContext?: SecureContext | undefined
    readonly rejectUnauthorized: boolean
  }
  /** Called with what a listener has thrown over the end of its exchange: a defect of ours. Absent: it is thrown on. */
  readonly defect?: (cause: unknown) => void
}

/** One request. */
export interface HttpClientRequest {
  readonly origin: HttpOrigin
  readonly method: string
  readonly path: string
  /** Names and values in turn. Host, Connection and Content-Length are added. */
  readonly headers: readonly string[]
  readonly body?: Uint8Array | undefined
}

/** Who hears of an exchange: of its phases in turn, and of one end. What `headCame` and `dataCame` throw ends the exchange. */
export interface ExchangeListener {
  /** A connection is there, and the request goes out. */
  sent(): void
  /** @param fields names and values in turn, as Latin-1 */
  headCame(status: number, fields: readonly string[]): void
  /** @returns false for a pause until `resume` */
  dataCame(chunk: Buffer): boolean
  ended(): void
  /** The whole answer will not come. */
  failed(cause: Error): void
}

/** The time for one phase of an exchange is over. */
export class ExchangeTimeout extends Error {
  override readonly name = 'ExchangeTimeout'
}

/** Time on the wire is real time, as it is for Node's server. */
const clock = systemClock

/** A connection that is not used is closed after that, or before the server does as it has announced. */
const longestIdle: Milliseconds = 4_000

/** @throws TypeError for a text that is no URL */
export function httpOrigin(url: string): HttpOrigin {
  const { protocol, hostname, port, host } = new URL(url)
  return { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port, host }
}

/** Sends requests over connections of its own. */
export class HttpClient {
  readonly options: HttpClientOptions
  readonly turns = new ReadTurns()
  readonly #agents: Readonly<Record<string, Agent>>
  readonly #connected = new WeakSet<Duplex>()
  readonly #running = new Set<HttpExchange>()

  constructor(options: HttpClientOptions) {
    const { keepsConnections: keepAlive, connections, tls } = options
    this.options = options
    // Node's agent reuses a connection for a request that waits even where keepAlive is off, so no request may wait.
    const maxSockets = keepAlive ? connections : Infinity
    const pool = { keepAlive, maxSockets, timeout: longestIdle }
    this.#agents = {
      // A request is one write, which waits for no other; a handshake is several.
      'http:': this.#extended(new Agent({ ...pool, noDelay: false })),
      'https:': this.#extended(new SecureAgent({ ...pool, ...tls })),
    }
  }

  /** @throws TypeError when the request cannot be written as it is */
  send(request: HttpClientRequest, listener: ExchangeListener): HttpExchange {
    const { origin, method, path, headers, body } = request
    const length = body === undefined ? [] : ['Content-Length', String(body.length)]
    const sent = newRequest({
      agent: this.#agents[origin.protocol],
      protocol: origin.protocol,
      host: origin.hostname,
      port: origin.port,
      method,
      path,
      headers: ['Host', origin.host, ...headers, ...length],
    })
    const exchange = new HttpExchange(this, sent, listener)
    this.#running.add(exchange)
    sent.end(body)
    return exchange
  }

  isConnected(socket: Socket): boolean {
    return this.#connected.has(socket)
  }

  defect(thrown: unknown): void {
    const { defect } = this.options
    if (defect === undefined) throw thrown
    defect(thrown)
  }

  over(exchange: HttpExchange): void {
    this.#running.delete(exchange)
  }

  /** Ends every connection; exchanges under way fail. */
  close(): void {
    for (const exchange of this.#running) exchange.abort(new Error('The client is closed'))
    for (const agent of Object.values(this.#agents)) agent.destroy()
  }

  /** By the three methods that Node's agents have for it. */
  #extended(agent: Agent): Agent {
    const connect = agent.createConnection.bind(agent)
    const keep = agent.keepSocketAlive.bind(agent)
    const reuse = agent.reuseSocket.bind(agent)
    agent.createConnection = (options, callback) => {
      // Without the kernel's probes: a connection has time limits while it is used, and is closed soon after.
      const socket = connect(Object.assign(options, { keepAlive: false }), callback)
      if (socket) this.#watchConnecting(socket, agent instanceof SecureAgent)
      return socket
    }
    agent.keepSocketAlive = (socket) => {
      socket.once('data', endsUnasked)
      return keep(socket)
    }
    agent.reuseSocket = (socket, request) => {
      socket.off('data', endsUnasked)
      reuse(socket, request)
    }
    return agent
  }

  #watchConnecting(socket: Duplex, isSecure: boolean): void {
    const giveUp = clock.schedule(this.options.timeoutConnect, () => {
      socket.destroy(new ExchangeTimeout('no connection in time'))
    })
    // Between two requests it has no listener of Node's for a moment.
    socket.on('error', ignoreError)
    socket.once('close', giveUp)
    socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      giveUp()
      this.#connected.add(socket)
    })
  }
}

/** What comes while nothing is asked must not be read as the answer to the next request. */
function endsUnasked(this: Duplex): void {
  this.destroy()
}

function ignoreError(): void {
  // The exchange hears of it from its request.
}

/** One request on its way. */
export class HttpExchange {
  readonly #client: HttpClient
  readonly #request: ClientRequest
  readonly #listener: ExchangeListener
  #answer: IncomingMessage | undefined
  #turn: ReadTurn | undefined
  #isPaused = false
  #isOver = false
  #since = 0
  #limit: Milliseconds = 0
  #cancel: Cancel | undefined

  constructor(client: HttpClient, request: ClientRequest, listener: ExchangeListener) {
    this.#client = client
    this.#request = request
    this.#listener = listener
    request.on('socket', (socket) => this.#gotSocket(socket))
    request.on('response', (answer) => this.#headCame(answer))
    request.on('error', (cause) => {
      // Something wrong behind a whole answer is nothing wrong with it.
      if (this.#answer?.complete !== true) this.abort(cause)
    })
  }

  /** The listener can take more. */
  resume(): void {
    if (!this.#isPaused || this.#isOver) return
    this.#isPaused = false
    this.#since = clock.now()
    this.#answer?.resume()
  }

  /** Closes the connection. The listener hears of it, as of any failure, unless the exchange is over. */
  abort(cause: Error): void {
    if (this.#isOver) return
    this.#finish()
    this.#request.destroy()
    this.#failed(cause)
  }

  #gotSocket(socket: Socket): void {
    if (this.#client.isConnected(socket)) this.#sent()
    else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => this.#sent())
  }

  #sent(): void {
    if (this.#isOver) return
    this.#limitFrom(this.#client.options.timeoutHeaders)
    this.#listener.sent()
  }

  #headCame(answer: IncomingMessage): void {
    if (this.#isOver) return
    this.#answer = answer
    this.#limitFrom(this.#client.options.timeoutBody)
    answer.on('data', (chunk: Buffer) => this.#dataCame(chunk))
    answer.on('end', () => this.#ended())
    answer.on('error', (cause) => this.abort(cause))
    try {
      this.#listener.headCame(answer.statusCode ?? 0, answer.rawHeaders)
    } catch (cause) {
      this.abort(cause as Error)
    }
  }

  #dataCame(chunk: Buffer): void {
    const answer = this.#answer
    if (this.#isOver || answer === undefined) return
    this.#since = clock.now()
    this.#turn ??= this.#client.turns.of(answer, () => this.#isPaused)
    this.#turn.took(chunk.length)
    try {
      if (this.#listener.dataCame(chunk)) return
    } catch (cause) {
      this.abort(cause as Error)
      return
    }
    this.#isPaused = true
    answer.pause()
  }

  #ended(): void {
    if (this.#isOver) return
    this.#finish()
    try {
      this.#listener.ended()
    } catch (thrown) {
      this.#client.defect(thrown)
      this.#failed(thrown as Error)
    }
  }

  #failed(cause: Error): void {
    try {
      this.#listener.failed(cause)
    } catch (thrown) {
      this.#client.defect(thrown)
    }
  }

  #finish(): void {
    this.#isOver = true
    this.#cancel?.()
    this.#client.over(this)
  }

  #limitFrom(limit: Milliseconds): void {
    this.#limit = limit
    this.#since = clock.now()
    this.#cancel?.()
    this.#cancel = limit === 0 ? undefined : clock.schedule(limit, this.#checkTime)
  }

  readonly #checkTime = (): void => {
    const left = this.#isPaused ? this.#limit : this.#since + this.#limit - clock.now()
    if (left > 0) this.#cancel = clock.schedule(left, this.#checkTime)
    else
      this.abort(
        new ExchangeTimeout(
          this.#answer ? 'no more of a body in time' : 'no head of an answer in time',
        ),
      )
  }
}
