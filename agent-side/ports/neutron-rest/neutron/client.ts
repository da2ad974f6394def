import type { Clock, Count, Milliseconds } from '../../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import type { NeutronRestConfig } from '../config.ts'
import { CircuitBreaker } from '../http/circuit-breaker.ts'
import { isConnectionFailure, isOverlong, type Exchanges, type HttpAnswer } from '../http/http.ts'
import type { JsonObject } from '../../directory/neutron-port.ts'
import type { Session, Sessions } from '../keystone/keystone.ts'
import { outcomeOf, type QueryOutcome } from '../../directory/metrics.ts'
import type { NeutronRestMetrics, QueryKind } from '../metrics.ts'
import { halve, inChunks, portsPath, type PortsQuery } from './ports-query.ts'
import { retryAfter } from '../http/retry-after.ts'
import { parsePortsPage } from './schema.ts'
import { Semaphore } from '../http/semaphore.ts'
import { Backoff } from '../../../../lib/runtime/backoff.ts'
import { isPassing, statusError } from '../http/status-error.ts'

/** What it is made with. */
export interface NeutronClientOptions {
  readonly config: NeutronRestConfig
  readonly http: Exchanges
  readonly sessions: Sessions
  readonly clock: Clock
  readonly metrics: NeutronRestMetrics
  readonly random: () => number
}

/** The ports of one query, all its requests together. */
export interface Listing<Row> {
  readonly rows: readonly Row[]
  /** False when there is more than was wanted; the rows are then good for nothing but their number. */
  readonly complete: boolean
}

/** How one query is sent and read. */
export interface ListOptions<Row> {
  readonly signal: AbortSignal
  readonly parseRow: (row: JsonObject) => Row | undefined
  /** Gives up as soon as it is clear that there are more. */
  readonly atMost?: Count
  /** The rows of a query that cannot be cut and whose answer is longer than `bodyBytes`. Without it, such an answer fails. */
  readonly overlong?: (query: PortsQuery) => readonly Row[]
}

/** Pages of one query; a server that pages for ever must not keep us. */
const mostPages: Count = 1_000
/** A passing failure is followed by another attempt. Its pause is drawn between nothing and this, then twice this. */
const firstRetry: Milliseconds = 400
const longestRetry: Milliseconds = 10_000

/**
 * Queries Neutron for ports. One query may be several requests: pages, chunks of long lists, another try, a new token.
 * All together are bounded by `timeoutQuery` and by the caller's signal.
 */
export class NeutronClient {
  readonly #options: NeutronClientOptions
  readonly #semaphore: Semaphore
  readonly circuitBreaker: CircuitBreaker

  constructor(options: NeutronClientOptions) {
    const { config, clock, random } = options
    this.#options = options
    this.#semaphore = new Semaphore(config.concurrency, config.queue)
    this.circuitBreaker = new CircuitBreaker({ clock, random, first: 250, longest: 10_000 })
  }

  /**
   * Lists the ports that a query describes. The server's filtering is not trusted: the caller filters again.
   * @throws MetadataError `directory_unavailable`, `directory_timeout`; the signal's reason when it was aborted
   */
  async list<Row>(query: PortsQuery, options: ListOptions<Row>): Promise<Listing<Row>> {
    // No value would be no condition, and every port of the cloud would come back.
    if (query.filters.some((filter) => filter.values.length === 0)) {
      return { rows: [], complete: true }
    }
    this.circuitBreaker.check()
    const { config, clock } = this.#options
    const limit = new AbortController()
    const cancel = clock.schedule(config.timeoutQuery, () => {
      const message = `Cannot query Neutron: no answer within ${config.timeoutQuery} ms`
      limit.abort(new MetadataError('directory_timeout', message))
    })
    const signal = AbortSignal.any([options.signal, limit.signal])
    try {
      const listing = await this.#listChunks(query, { ...options, signal })
      this.circuitBreaker.succeeded()
      return listing
    } catch (cause) {
      if (cause instanceof MetadataError && !options.signal.aborted)
        this.circuitBreaker.failed(cause)
      throw cause
    } finally {
      cancel()
    }
  }

  async #listChunks<Row>(query: PortsQuery, options: ListOptions<Row>): Promise<Listing<Row>> {
    const { config } = this.#options
    const { atMost = Number.POSITIVE_INFINITY } = options
    const rows: Row[] = []
    const chunks = inChunks(query, this.#pageSize(options), config.uriBytes)
    for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
      const left = { ...options, atMost: atMost - rows.length }
      const outcome = await this.#listPages(chunk, left)
      if (outcome === 'too-long') {
        const halves = halve(chunk)
        if (halves !== undefined) chunks.unshift(...halves)
        else if (options.overlong === undefined) throw statusError(414)
        else rows.push(...options.overlong(chunk))
        continue
      }
      rows.push(...outcome.rows)
      if (!outcome.complete) return { rows, complete: false }
    }
    return { rows, complete: true }
  }

  #pageSize<Row>({ atMost = Number.POSITIVE_INFINITY }: ListOptions<Row>): Count {
    return Math.max(1, Math.min(this.#options.config.pageSize, atMost))
  }

  async #listPages<Row>(
    query: PortsQuery,
    options: ListOptions<Row>,
  ): Promise<Listing<Row> | 'too-long'> {
    const { atMost = Number.POSITIVE_INFINITY, parseRow, signal } = options
    const rows: Row[] = []
    let marker: string | undefined
    for (let page = 0; page < mostPages; page += 1) {
      const path = portsPath(query, this.#pageSize(options), marker)
      const answer = await this.#sendWithRetries(query.kind, path, signal).catch(
        (cause: unknown) => {
          if (options.overlong !== undefined && isOverlong(cause)) return undefined
          throw cause
        },
      )
      if (answer === undefined || answer.status === 413 || answer.status === 414) return 'too-long'
      const read = parsePortsPage(answer.text, parseRow, query.collection)
      rows.push(...read.rows)
      if (rows.length > atMost) return { rows, complete: false }
      if (read.marker === undefined) return { rows, complete: true }
      if (read.marker === marker) break
      if (rows.length >= atMost) return { rows, complete: false }
      marker = read.marker
    }
    throw new MetadataError('directory_unavailable', 'Cannot list ports: the pages do not end')
  }

  /** One request until it has an answer that is worth something, with retries. */
  async #sendWithRetries(kind: QueryKind, path: string, signal: AbortSignal): Promise<HttpAnswer> {
    const { config, clock, random } = this.#options
    const backoff = new Backoff(firstRetry, longestRetry, random, 0)
    let renewed = false
    for (let attempt = 1; ; attempt += 1) {
      let failure: MetadataError
      let wait: Milliseconds | undefined
      const session = await this.#options.sessions.session(signal)
      try {
        const answer = await this.#send(kind, session, path, signal)
        const { status } = answer
        if (status === 200 || status === 413 || status === 414) return answer
        failure = statusError(status)
        if (status === 401) {
          this.#options.sessions.refused(session)
          if (renewed || session.token === undefined) throw failure
          renewed = true
          continue
        }
        if (!isPassing(status)) throw failure
        wait = retryAfter(answer.header('retry-after'), clock)
      } catch (cause) {
        if (!(cause instanceof MetadataError) || !isConnectionFailure(cause)) throw cause
        failure = cause
      }
      if (attempt >= config.attempts) throw failure
      // Waiting longer than the query may take is the same as failing, only later.
      if ((wait ?? 0) >= config.timeoutQuery) throw failure
      await clock.sleep((wait ?? 0) + backoff.next(), signal).catch(() => signal.throwIfAborted())
    }
  }

  async #send(
    kind: QueryKind,
    session: Session,
    path: string,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const { clock, http, metrics } = this.#options
    const giveBack = await this.#semaphore.take(signal)
    const began = clock.now()
    let outcome: QueryOutcome = 'failed'
    try {
      const answer = await http.exchange({
        method: 'GET',
        url: portsUrl(session.endpoint, path),
        headers: {
          accept: 'application/json',
          'user-agent': 'overlapd',
          ...(session.token !== undefined && { 'x-auth-token': session.token.reveal() }),
        },
        signal,
      })
      outcome = answer.status === 200 ? 'answered' : 'rejected'
      return answer
    } catch (cause) {
      outcome = outcomeOf(cause)
      throw cause
    } finally {
      giveBack()
      metrics.queried(kind, outcome, clock.now() - began)
    }
  }
}

/** Catalogs name Neutron with and without its version. */
function portsUrl(endpoint: string, path: string): string {
  return `${endpoint.replace(/\/+$/, '').replace(/\/v2\.0$/, '')}${path}`
}
