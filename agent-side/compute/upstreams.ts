import type {
  Clock,
  Count,
  EpochMilliseconds,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../lib/runtime/clock.ts'
import {
  HttpClient,
  httpOrigin,
  type ExchangeListener,
  type HttpClientOptions,
  type HttpClientRequest,
  type HttpExchange,
  type HttpOrigin,
} from '../../lib/http/http-client.ts'
import type { InstanceId } from '../../lib/identity/ids.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { clientSecureContext } from '../../lib/files/tls-material.ts'
import { UpstreamHealth, type UpstreamFailure } from '../../lib/admission/upstream-health.ts'
import type { SecretSlot } from './signed-headers.ts'
import { UpstreamPace } from './upstream-pace.ts'

export interface UpstreamsOptions {
  /** Origins such as `http://192.0.2.10:8775`, the preferred one first. */
  readonly urls: readonly string[]
  readonly tls: UpstreamTls
  /** Per upstream. */
  readonly connections: Count
  readonly timeoutConnect: Milliseconds
  /** From the request being sent to its answer's head: dynamic vendordata takes its time. */
  readonly timeoutHeaders: Milliseconds
  /** Between two parts of a body. */
  readonly timeoutBody: Milliseconds
  readonly clock: Clock
  readonly logger: Logger
  readonly random?: () => number
  /** @see HttpClientOptions */
  readonly defect: (cause: unknown) => void
}

/** Paths of PEM files; read once. */
export interface UpstreamTls {
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  /** True to trust any certificate. */
  readonly insecure: boolean
}

/** One compute metadata endpoint, with what is known about it. */
export class Upstream {
  readonly index: Count
  readonly url: string
  readonly health: UpstreamHealth
  /** The secret it last accepted. */
  secretSlot: SecretSlot = 'current'
  /** It has answered a signed request as it does once it has accepted the signature. */
  hasTakenSecret = false
  /** It refused every secret we have, and has not taken one since. */
  hasRefusedSecrets = false
  inFlight: Count = 0
  answers: Count = 0
  failures: Count = 0
  /** The instance whose request it cut off, if it has answered no request since. */
  cutOffInstance: InstanceId | undefined
  lastFailure: { readonly why: string; readonly at: EpochMilliseconds } | undefined
  /** When a request to it ended last, well or not. */
  receivedAt: MonotonicMilliseconds = -Infinity
  readonly pace: UpstreamPace
  readonly #origin: HttpOrigin
  readonly #client: HttpClient
  /** For requests that must not be sent once more: a connection kept alive may have been closed a moment ago. */
  readonly #onceOnly: HttpClient

  constructor(
    index: Count,
    url: string,
    health: UpstreamHealth,
    options: ConnectionOptions,
    clock: Clock,
  ) {
    this.index = index
    this.url = url
    this.health = health
    this.pace = new UpstreamPace(clock)
    this.#origin = httpOrigin(url)
    this.#client = new HttpClient({ ...options, keepsConnections: true })
    this.#onceOnly = new HttpClient({ ...options, keepsConnections: false })
  }

  /**
   * @param mayReuse whether a connection will do that the endpoint may have closed a moment ago
   * @throws TypeError when the request cannot be written as it is
   */
  send(
    request: Omit<HttpClientRequest, 'origin'>,
    mayReuse: boolean,
    listener: ExchangeListener,
  ): HttpExchange {
    // A body behind the answer to HEAD, which has none, would be read as the next answer.
    const client = mayReuse && request.method === 'GET' ? this.#client : this.#onceOnly
    const { method, path, headers, body } = request
    return client.send({ origin: this.#origin, method, path, headers, body }, listener)
  }

  /** Ends every connection, running requests included. */
  close(): void {
    this.#client.close()
    this.#onceOnly.close()
  }
}

const longestGap: Milliseconds = 30_000

type ConnectionOptions = Omit<HttpClientOptions, 'keepsConnections'>

function connectionOptions(options: UpstreamsOptions): ConnectionOptions {
  const { tls, urls, connections, timeoutConnect, timeoutHeaders, timeoutBody, defect } = options
  const isTls = urls.some((url) => url.startsWith('https:'))
  return {
    connections,
    timeoutConnect,
    timeoutHeaders,
    timeoutBody,
    defect,
    tls: {
      rejectUnauthorized: !tls.insecure,
      ...(isTls && {
        secureContext: clientSecureContext({
          caFile: tls.caFile,
          certificateFile: tls.certFile,
          keyFile: tls.keyFile,
        }),
      }),
    },
  }
}

/**
 * The compute metadata endpoints in order of preference. Those that look down come last instead of being left out: when
 * all look down, it is more likely that we look wrongly.
 */
export class Upstreams {
  readonly all: readonly Upstream[]
  readonly #options: UpstreamsOptions
  #isClosed = false
  #silentSince: MonotonicMilliseconds | undefined
  #failedAt: MonotonicMilliseconds = -Infinity

  /** @throws Error naming a file that cannot be used */
  constructor(options: UpstreamsOptions) {
    this.#options = options
    const connections = connectionOptions(options)
    const health = {
      clock: options.clock,
      failuresToDown: 3,
      firstPause: 2_000,
      longestPause: 60_000,
      random: options.random ?? Math.random,
    }
    this.all = options.urls.map(
      (url, index) =>
        new Upstream(index, url, new UpstreamHealth(health), connections, options.clock),
    )
  }

  get inFlight(): Count {
    return this.all.reduce((sum, upstream) => sum + upstream.inFlight, 0)
  }

  /** Every upstream, the one to try first at the front. */
  inOrder(): readonly Upstream[] {
    if (this.all.length === 1) return this.all
    const states = this.all.map((upstream) => ({ upstream, state: upstream.health.state }))
    const usable = states.filter(({ state }) => state !== 'down')
    const down = states
      .filter(({ state }) => state === 'down')
      .toSorted((a, b) => a.upstream.health.downUntil - b.upstream.health.downUntil)
    return [...usable, ...down].map(({ upstream }) => upstream)
  }

  /** When the first of the latest failures came, with no good answer of any upstream since; `undefined` when there is one. */
  get silentSince(): MonotonicMilliseconds | undefined {
    return this.#silentSince
  }

  noteSuccess(upstream: Upstream): void {
    upstream.answers += 1
    upstream.receivedAt = this.#options.clock.now()
    upstream.cutOffInstance = undefined
    this.#silentSince = undefined
    if (upstream.health.succeeded()) {
      this.#options.logger.info({ upstream: upstream.url }, 'Compute upstream is back')
    }
  }

  noteFailure(upstream: Upstream, how: UpstreamFailure, why: string): void {
    upstream.failures += 1
    const now = this.#options.clock.now()
    // Where nothing was sent for long, it is unknown what was in between.
    if (this.#silentSince === undefined || now - this.#failedAt > longestGap) {
      this.#silentSince = now
    }
    this.#failedAt = now
    upstream.receivedAt = now
    upstream.lastFailure = { why, at: this.#options.clock.wallTime() }
    if (upstream.health.failed(how)) {
      this.#options.logger.warn({ upstream: upstream.url, why }, 'Compute upstream looks down')
    }
  }

  /**
   * A request was sent, and its connection ended without a word. Paths at which Nova's application dies do that, and a guest that sends
   * such requests must not make an endpoint look down for others. So it counts against the endpoint only while none has answered
   * anything yet, or when it has cut off another instance since it answered last.
   * @returns true when the request itself is the likely cause
   */
  noteCutOff(upstream: Upstream, instanceId: InstanceId, why: string): boolean {
    const { cutOffInstance } = upstream
    upstream.cutOffInstance ??= instanceId
    const isOfRequest =
      this.all.some(({ answers }) => answers > 0) &&
      upstream.health.state === 'up' &&
      (cutOffInstance === undefined || cutOffInstance === instanceId)
    if (!isOfRequest) this.noteFailure(upstream, 'answer', why)
    return isOfRequest
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Ends every connection, running requests included. */
  close(): void {
    this.#isClosed = true
    for (const upstream of this.all) upstream.close()
  }
}
