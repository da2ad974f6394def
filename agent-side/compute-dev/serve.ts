import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Bytes, Clock, Count } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { closeServer, listenAt, type ListenAt } from '../../lib/http/serve.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import { StaticFileError } from '../ports/static/problems.ts'
import type { StaticTopology } from '../ports/static/topology.ts'
import { WatchedTopology } from '../ports/static/watched-topology.ts'
import { plainText, NovaRefusal, refusalAnswer, type Answer } from './answer.ts'
import { Faults } from './faults.ts'
import { InstanceStore } from './instance-store.ts'
import { handleMetadata } from './metadata-handler.ts'
import { longestPassword } from './password.ts'
import { pathNames } from './request-path.ts'
import { RequestRecord, type RecordedRequest } from './request-record.ts'

export interface DevComputeOptions {
  /** The file of ports and instances, as the `static` directory reads it. */
  readonly file: string
  /** A UNIX socket or a loopback address: this is no service for a network. */
  readonly listen: ListenAt
  readonly clock: Clock
  readonly logger: Logger
  /** Goes before the file's `compute.shared_secret`. */
  readonly secret?: Secret
}

/** A running development API. */
export interface DevCompute {
  /** `http://127.0.0.1:PORT`, or the path of the socket. */
  readonly url: string
  /** The last requests, oldest first. */
  requests(): readonly RecordedRequest[]
  forgetRequests(): void
  /** Connections accepted so far. */
  connections(): Count
  /** Looks at the file now instead of when its change is noticed. */
  reload(): Promise<void>
  /** May be called twice. */
  close(): Promise<void>
}

const loopback = /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/

const rememberedRequests: Count = 1_000

/** Reads a body as far as it may be used; what is longer is too large anyway. */
async function readBody(request: IncomingMessage, limit: Bytes): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length > limit) break
  }
  return Buffer.concat(chunks)
}

/** Answers as Nova's metadata API does, from a file. */
class DevComputeServer implements DevCompute {
  url = ''
  readonly #options: DevComputeOptions
  readonly #watched: WatchedTopology
  readonly #instances: InstanceStore
  readonly #record: RequestRecord
  readonly #server: Server
  readonly #numbers = new WeakMap<Socket, Count>()
  readonly #closing = new AbortController()
  #faults = new Faults([])

  constructor(options: DevComputeOptions) {
    this.#options = options
    this.#record = new RequestRecord(rememberedRequests)
    this.#watched = new WatchedTopology({
      ...options,
      onLoaded: (topology) => {
        this.#faults = new Faults(topology.compute.faults)
      },
    })
    this.#instances = new InstanceStore(options.clock, () => this.#topology())
    // A guest's connection may be kept for as long as its agent likes.
    this.#server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
      void this.#serve(request, response)
    })
    this.#server.on('connection', (socket) => this.#numbers.set(socket, this.#record.connected()))
  }

  /** @throws {StaticFileError} when the file cannot be used; Error when the socket cannot listen there */
  async start(): Promise<void> {
    await this.#watched.start()
    try {
      if (this.#watched.current === undefined) {
        throw new StaticFileError(this.#options.file, [this.#watched.refusal ?? 'not read'])
      }
      this.#secret()
      this.url = await listenAt(this.#server, this.#options.listen)
    } catch (cause) {
      await this.#watched.close()
      throw cause
    }
  }

  requests(): readonly RecordedRequest[] {
    return this.#record.requests
  }

  forgetRequests(): void {
    this.#record.clear()
  }

  connections(): Count {
    return this.#record.connections
  }

  async reload(): Promise<void> {
    await this.#watched.reload()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([this.#watched.close(), closeServer(this.#server, 1_000)])
  }

  #topology(): StaticTopology {
    const { current } = this.#watched
    if (current === undefined) throw new TypeError('The server was not started')
    return current
  }

  #secret(): Secret {
    const { secret, file } = this.#options
    if (secret !== undefined) return secret
    const text = this.#topology().compute.shared_secret
    if (text !== undefined) return new Secret(text)
    throw new StaticFileError(file, ['compute.shared_secret: expected the shared secret'])
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: target = '/', headers, rawHeaders, socket } = request
    const at = this.#options.clock.wallTime()
    let status = 0
    try {
      status = await this.#answer(request, response)
    } catch (cause) {
      this.#options.logger.error({ target, cause: causeText(cause) }, 'Request failed')
      response.destroy()
    }
    const connection = this.#numbers.get(socket) ?? 0
    this.#record.add({ at, connection, method, target, headers, rawHeaders, status })
    this.#options.logger.debug({ method, target, status, connection }, 'Request answered')
  }

  /** @returns the status, or 0 when the connection was ended */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<number> {
    const names = pathNames(request.url ?? '/')
    const instanceId = request.headers[wireHeaders.instanceId]
    const fault = this.#faults.take(`/${names.join('/')}`, String(instanceId))
    if (fault !== undefined && fault.delay > 0) {
      const delay = this.#options.clock.sleep(fault.delay * 1_000, this.#closing.signal)
      await delay.catch(() => undefined)
    }
    if (fault?.reset === true) {
      request.socket.destroy()
      return 0
    }
    const answer =
      fault?.status === undefined
        ? await this.#metadata(request, names)
        : { status: fault.status, contentType: plainText, body: fault.body ?? '' }
    response.writeHead(answer.status, {
      ...(answer.contentType !== undefined && { 'content-type': answer.contentType }),
      'content-length': Buffer.byteLength(answer.body),
      ...fault?.headers,
    })
    response.end(answer.body)
    return answer.status
  }

  async #metadata(request: IncomingMessage, names: readonly string[]): Promise<Answer> {
    const { method = 'GET', headers } = request
    const received = {
      method,
      names,
      headers,
      now: this.#options.clock.wallTime(),
      readBody: () => readBody(request, longestPassword),
    }
    try {
      return await handleMetadata(received, this.#instances, this.#secret())
    } catch (cause) {
      if (!(cause instanceof NovaRefusal)) throw cause
      // The CORS filter before Nova takes every OPTIONS that the application refuses for a preflight.
      if (method === 'OPTIONS') return { status: 200, body: '' }
      return refusalAnswer(cause, headers.accept)
    }
  }
}

/**
 * Starts a compute metadata API for development: Nova's trees, checks and oddities, served from the file that also
 * gives the `static` directory its ports. It checks signatures as Nova does; there is no way around them.
 * @throws {StaticFileError} when the file cannot be used or no secret is known
 */
export async function startDevCompute(options: DevComputeOptions): Promise<DevCompute> {
  const { listen } = options
  if ('host' in listen && !loopback.test(listen.host)) {
    throw new RangeError(`Cannot listen on "${listen.host}": only loopback addresses are allowed`)
  }
  const server = new DevComputeServer(options)
  await server.start()
  return server
}
