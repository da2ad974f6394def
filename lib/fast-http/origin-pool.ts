/** Kept-alive connections to one server, at little cost for plain requests and with undici for all others. */
import type { Dispatcher } from 'undici'
import type buildConnector from 'undici/lib/core/connect.js'
import Pool from 'undici/lib/dispatcher/pool.js'
import type { Count, Milliseconds } from '../runtime/clock.ts'
import { UndiciClient } from './general-client.ts'
import { tolerantConnector } from './paused-end.ts'
import { PlainPool, type AnswerHandler } from './pool.ts'

/** What a pool needs to know of its origin. */
export interface OriginPoolOptions {
  /** Such as `http://192.0.2.10:8775`. */
  readonly url: string
  /** At most so many, for plain requests and for others each. */
  readonly connections: Count
  readonly timeoutHeaders: Milliseconds
  readonly timeoutBody: Milliseconds
  readonly connect: buildConnector.BuildOptions
  /** @see PlainPoolOptions */
  readonly defect: (cause: unknown) => void
}

/** Anything that requests can be sent to. */
export interface RequestSink {
  dispatch(request: Dispatcher.DispatchOptions, handler: AnswerHandler): void
}

/** A pool for one origin. */
export class OriginPool implements RequestSink {
  readonly #pool: Pool
  readonly #plain: PlainPool

  /** @throws when certificates cannot be used, or the URL is none */
  constructor(options: OriginPoolOptions) {
    const { url, connections, timeoutHeaders, timeoutBody, defect } = options
    const connector = tolerantConnector(options.connect)
    const clientOptions = {
      pipelining: 1,
      headersTimeout: timeoutHeaders,
      bodyTimeout: timeoutBody,
    }
    this.#pool = new Pool(url, { ...clientOptions, connect: connector, connections })
    const { host, hostname, protocol, port } = new URL(url)
    const place = { host, hostname: hostname.replace(/^\[|\]$/g, ''), protocol, port }
    this.#plain = new PlainPool({
      host,
      connect: (connected) => {
        connector(place, connected)
      },
      connections,
      timeoutHeaders,
      timeoutBody,
      general: new UndiciClient(this.#pool, url, clientOptions),
      defect,
    })
  }

  dispatch(request: Dispatcher.DispatchOptions, handler: AnswerHandler): void {
    const { method, path, headers, body } = request
    if (method === 'GET' && (body ?? null) === null && Array.isArray(headers)) {
      this.#plain.dispatch({ path, headers }, handler)
    } else {
      this.#pool.dispatch(request, handler)
    }
  }

  /** Ends every connection, running requests included. */
  async destroy(): Promise<void> {
    this.#plain.destroy()
    await this.#pool.destroy()
  }
}
