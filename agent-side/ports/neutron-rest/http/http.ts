import type { Bytes, Count, Milliseconds } from '../../../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../../../lib/runtime/errors.ts'
import {
  ExchangeTimeout,
  HttpClient,
  httpOrigin,
  type ExchangeListener,
} from '../../../../lib/http/http-client.ts'
import { clientSecureContext } from '../../../../lib/files/tls-material.ts'

/** Paths of PEM files; they are read when the directory starts. */
export interface ClientTls {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  /** True to skip the verification of certificates. */
  readonly insecure: boolean
}

/** Limits and certificates of all exchanges. */
export interface HttpOptions {
  readonly tls: ClientTls
  readonly timeoutConnect: Milliseconds
  readonly timeoutHeaders: Milliseconds
  readonly timeoutBody: Milliseconds
  readonly bodyBytes: Bytes
  readonly connections: Count
}

/** One request. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
}

/** An answer that arrived whole. */
export interface HttpAnswer {
  readonly status: number
  /** One value per name, names in lower case; of repeated fields the first. */
  readonly header: (name: string) => string | undefined
  readonly text: string
}

/** True when the error means that no usable answer came over the connection, so that another try can help. */
export function isConnectionFailure(error: MetadataError): boolean {
  return error.details['connection'] === true
}

/** True when the answer was longer than `bodyBytes`. */
export function isOverlong(error: unknown): boolean {
  return error instanceof MetadataError && error.details['bodyBytes'] !== undefined
}

function refuseOverlong(url: string, limit: Bytes): never {
  throw new MetadataError(
    'directory_unavailable',
    `Cannot read the answer of "${originOf(url)}": more than ${limit} bytes`,
    { details: { origin: originOf(url), bodyBytes: limit } },
  )
}

function originOf(url: string): string {
  return new URL(url).origin
}

/** What is needed for queries over HTTP. */
export type Exchanges = Pick<Http, 'exchange' | 'close'>

/**
 * One HTTP exchange with Keystone or Neutron: bounded in time by phase and in size, no redirects, no proxy from the
 * environment. Statuses are for the caller to judge; only a missing or unreadable answer is an error.
 */
export class Http {
  readonly #client: HttpClient
  readonly #options: HttpOptions

  /** @throws Error when a certificate file cannot be read */
  constructor(options: HttpOptions) {
    const { tls, connections, timeoutConnect, timeoutHeaders, timeoutBody } = options
    this.#options = options
    this.#client = new HttpClient({
      keepsConnections: true,
      connections,
      timeoutConnect,
      timeoutHeaders,
      timeoutBody,
      tls: {
        rejectUnauthorized: !tls.insecure,
        secureContext: clientSecureContext({
          caFile: tls.caFile,
          certificateFile: tls.certFile,
          keyFile: tls.keyFile,
        }),
      },
    })
  }

  /**
   * @throws MetadataError `directory_timeout` or `directory_unavailable`; the signal's reason when it was aborted
   */
  async exchange(wanted: HttpRequest): Promise<HttpAnswer> {
    const { url, signal } = wanted
    try {
      return await this.#answerTo(wanted)
    } catch (cause) {
      if (signal.aborted) throw signal.reason
      if (cause instanceof MetadataError) throw cause
      const origin = originOf(url)
      const isSlow =
        cause instanceof ExchangeTimeout || (cause as NodeJS.ErrnoException).code === 'ETIMEDOUT'
      throw new MetadataError(
        isSlow ? 'directory_timeout' : 'directory_unavailable',
        `Cannot query "${origin}": ${causeText(cause)}`,
        { cause, details: { origin, connection: true, cause: causeText(cause) } },
      )
    }
  }

  /** Ends every connection; callers that still wait get an error. May be called twice. */
  close(): void {
    this.#client.close()
  }

  async #answerTo({ url, method, headers, body, signal }: HttpRequest): Promise<HttpAnswer> {
    signal.throwIfAborted()
    const { pathname, search } = new URL(url)
    const collector = new AnswerCollector(url, this.#options.bodyBytes)
    const request = {
      origin: httpOrigin(url),
      method,
      path: pathname + search,
      headers: Object.entries(headers).flat(),
      body: body === undefined ? undefined : Buffer.from(body),
    }
    const exchange = this.#client.send(request, collector)
    const leave = (): void => exchange.abort(signal.reason as Error)
    signal.addEventListener('abort', leave)
    try {
      return await collector.answer
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }
}

/** Takes in one answer, up to a limit. */
class AnswerCollector implements ExchangeListener {
  readonly answer: Promise<HttpAnswer>
  readonly #url: string
  readonly #limit: Bytes
  readonly #chunks: Buffer[] = []
  readonly #headers = new Map<string, string>()
  #bytes: Bytes = 0
  #status = 0
  #resolve: (answer: HttpAnswer) => void = () => undefined
  #reject: (cause: Error) => void = () => undefined

  constructor(url: string, limit: Bytes) {
    this.#url = url
    this.#limit = limit
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  sent(): void {
    // Only the end counts.
  }

  headCame(status: number, fields: readonly string[]): void {
    this.#status = status
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const name = (fields[index] ?? '').toLowerCase()
      if (!this.#headers.has(name)) this.#headers.set(name, fields[index + 1] ?? '')
    }
  }

  dataCame(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    if (this.#bytes > this.#limit) refuseOverlong(this.#url, this.#limit)
    this.#chunks.push(chunk)
    return true
  }

  ended(): void {
    this.#resolve({
      status: this.#status,
      header: (name) => this.#headers.get(name),
      text: Buffer.concat(this.#chunks).toString('utf8'),
    })
  }

  failed(cause: Error): void {
    this.#reject(cause)
  }
}
