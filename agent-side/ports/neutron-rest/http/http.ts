import { Agent, request } from 'undici'
import type { Bytes, Count, Milliseconds } from '../../../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../../../lib/runtime/errors.ts'
import { tolerantConnector } from '../../../../lib/fast-http/paused-end.ts'
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

const timeouts = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

/** True when the error says that no usable answer came over the connection, so that another try can help. */
export function isConnectionFailure(error: MetadataError): boolean {
  return error.details['connection'] === true
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
  readonly #agent: Agent
  readonly #options: HttpOptions

  /** @throws Error when a certificate file cannot be read */
  constructor(options: HttpOptions) {
    const { tls } = options
    this.#options = options
    this.#agent = new Agent({
      connections: options.connections,
      headersTimeout: options.timeoutHeaders,
      bodyTimeout: options.timeoutBody,
      maxRequestsPerClient: 1_000,
      connect: tolerantConnector({
        timeout: options.timeoutConnect,
        rejectUnauthorized: !tls.insecure,
        secureContext: clientSecureContext({
          caFile: tls.caFile,
          certificateFile: tls.certFile,
          keyFile: tls.keyFile,
        }),
      }),
    })
  }

  /**
   * @throws MetadataError `directory_timeout` or `directory_unavailable`; the signal's reason when it was aborted
   */
  async exchange(wanted: HttpRequest): Promise<HttpAnswer> {
    try {
      const response = await request(wanted.url, {
        dispatcher: this.#agent,
        method: wanted.method,
        headers: wanted.headers,
        signal: wanted.signal,
        ...(wanted.body !== undefined && { body: wanted.body }),
      })
      const chunks: Buffer[] = []
      let bytes = 0
      for await (const chunk of response.body) {
        const piece = chunk as Buffer
        bytes += piece.length
        if (bytes > this.#options.bodyBytes) refuseOverlong(wanted.url, this.#options.bodyBytes)
        chunks.push(piece)
      }
      return {
        status: response.statusCode,
        header: (name) => {
          const value = response.headers[name]
          return Array.isArray(value) ? value[0] : value
        },
        text: Buffer.concat(chunks).toString('utf8'),
      }
    } catch (cause) {
      if (wanted.signal.aborted) throw wanted.signal.reason
      if (cause instanceof MetadataError) throw cause
      const code = (cause as NodeJS.ErrnoException).code ?? ''
      const origin = originOf(wanted.url)
      throw new MetadataError(
        timeouts.has(code) ? 'directory_timeout' : 'directory_unavailable',
        `Cannot query "${origin}": ${causeText(cause)}`,
        { cause, details: { origin, connection: true, cause: causeText(cause) } },
      )
    }
  }

  /** Ends every connection; callers that still wait get an error. May be called twice. */
  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}
