/**
 * How are requests sent to another service? By Node's own client, with a time limit for each phase of an exchange. Where a service
 * closes each connection it costs two thirds of what undici does, and a connection may end while its answer is paused.
 */
import { request as newRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import { systemClock, type Cancel, type Count, type Milliseconds } from '../runtime/clock.ts'
import { ConnectionPool, ExchangeTimeout, type ConnectionTaker } from './connection-pool.ts'
import { ReadTurns, type ReadTurn } from './read-turns.ts'

export { ExchangeTimeout } from './connection-pool.ts'

/** Where a request goes. */
export interface HttpOrigin {
  /** `http://192.0.2.10:8775`. */
  readonly name: string
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

/** Is called for the phases of an exchange in turn, and once for its end. What `headCame` and `dataCame` throw ends the exchange. */
export interface ExchangeListener {
  /**
   * A connection is there, and the request goes out.
   * @param isReused the connection has had a request before: the server may end it without having read this one
   */
  sent(isReused: boolean): void
  /** @param fields names and values in turn, as Latin-1 */
  headCame(status: number, fields: readonly string[]): void
  /** @returns false for a pause until `resume` */
  dataCame(chunk: Buffer): boolean
  ended(): void
  /** The whole answer will not come. */
  failed(cause: Error): void
}

/** Time on the wire is real time, as it is for Node's server. */
const clock = systemClock

/** @throws TypeError for a text that is no URL */
export function httpOrigin(url: string): HttpOrigin {
  const { origin: name, protocol, hostname, port, host } = new URL(url)
  return { name, protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port, host }
}

/** Sends requests over connections of its own. */
export class HttpClient {
  readonly options: HttpClientOptions
  readonly turns = new ReadTurns()
  readonly #pools = new Map<string, ConnectionPool>()
  readonly #running = new Set<HttpExchange>()

  constructor(options: HttpClientOptions) {
    this.options = options
  }

  /** @throws TypeError when the request cannot be written as it is */
  send(request: HttpClientRequest, listener: ExchangeListener): HttpExchange {
    const { origin, method, path, headers, body } = request
    const isKept = this.options.keepsConnections
    const fields = ['Host', origin.host, ...headers]
    if (body !== undefined) fields.push('Content-Length', String(body.length))
    fields.push('Connection', isKept ? 'keep-alive' : 'close')
    const pool = this.#poolTo(origin)
    const taker = new RequestTaker()
    const sent = newRequest({
      host: origin.hostname,
      method,
      path,
      headers: fields,
      createConnection: (_options, created) => {
        taker.created = created
        pool.request(taker)
        return undefined
      },
    })
    taker.begin(sent)
    // Node sets it by its own pool alone.
    sent.shouldKeepAlive = isKept
    const exchange = new HttpExchange(this, pool, sent, listener)
    this.#running.add(exchange)
    sent.end(body)
    return exchange
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
    for (const pool of this.#pools.values()) pool.close()
  }

  #poolTo({ name, protocol, hostname, port }: HttpOrigin): ConnectionPool {
    const known = this.#pools.get(name)
    if (known !== undefined) return known
    const { keepsConnections, connections, timeoutConnect, tls } = this.options
    const isSecure = protocol === 'https:'
    const pool = new ConnectionPool({
      isSecure,
      hostname,
      tcpPort: port === '' ? (isSecure ? 443 : 80) : Number(port),
      connections: keepsConnections ? connections : Infinity,
      timeoutConnect,
      tls,
    })
    this.#pools.set(name, pool)
    return pool
  }
}

/** A request of Node's that gets its connection from a pool, maybe while it is being made. */
class RequestTaker implements ConnectionTaker {
  created: ((cause: Error | null, socket: Socket) => void) | undefined
  #request: ClientRequest | undefined
  #isReused = false

  /** Node makes the request only after it has wanted its connection. */
  begin(request: ClientRequest): void {
    this.#request = request
    request.reusedSocket = this.#isReused
  }

  isWaiting(): boolean {
    return this.#request?.destroyed !== true
  }

  take(socket: Socket, isReused: boolean): void {
    this.#isReused = isReused
    if (this.#request !== undefined) this.#request.reusedSocket = isReused
    this.created?.(null, socket)
  }

  failed(cause: Error, socket: Socket): void {
    this.created?.(cause, socket)
  }
}

const announcement = 'keep-alive'

/** What the server announces: `Keep-Alive: timeout=5`. */
function announcedIdle(fields: readonly string[]): Milliseconds | undefined {
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const name = fields[index] ?? ''
    if (name.length !== announcement.length || name.toLowerCase() !== announcement) continue
    const seconds = /(?:^|[,; ])timeout=(\d{1,6})/i.exec(fields[index + 1] ?? '')?.[1]
    return seconds === undefined ? undefined : Number(seconds) * 1_000
  }
  return undefined
}

/** One request on its way. */
export class HttpExchange {
  readonly #client: HttpClient
  readonly #pool: ConnectionPool
  readonly #request: ClientRequest
  readonly #listener: ExchangeListener
  #answer: IncomingMessage | undefined
  #turn: ReadTurn | undefined
  #isPaused = false
  #isOver = false
  #since = 0
  #limit: Milliseconds = 0
  #cancel: Cancel | undefined

  constructor(
    client: HttpClient,
    pool: ConnectionPool,
    request: ClientRequest,
    listener: ExchangeListener,
  ) {
    this.#client = client
    this.#pool = pool
    this.#request = request
    this.#listener = listener
    request.on('socket', () => this.#sent())
    request.on('close', () => this.#closed())
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

  /** Closes the connection. The listener is called, as for any failure, unless the exchange is over. */
  abort(cause: Error): void {
    if (this.#isOver) return
    this.#finish()
    this.#request.destroy()
    this.#failed(cause)
  }

  /** The request is through with its connection. */
  #closed(): void {
    const answer = this.#answer
    const { socket, shouldKeepAlive } = this.#request
    if (socket === null || answer?.complete !== true || !shouldKeepAlive) return
    this.#pool.release(socket, announcedIdle(answer.rawHeaders))
  }

  #sent(): void {
    if (this.#isOver) return
    this.#limitFrom(this.#client.options.timeoutHeaders)
    this.#listener.sent(this.#request.reusedSocket)
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
