import type { Clock, Milliseconds, MonotonicMilliseconds } from '../../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import type { Logger } from '../../../../lib/runtime/log.ts'
import { Secret } from '../../../../lib/runtime/secret.ts'
import type { NeutronRestConfig } from '../config.ts'
import { CircuitBreaker } from '../http/circuit-breaker.ts'
import type { Exchanges } from '../http/http.ts'
import { outcomeOf } from '../../directory/metrics.ts'
import type { NeutronRestMetrics } from '../metrics.ts'
import { chooseEndpoint, parseIssuedToken } from './token-schema.ts'
import { tokenRequest, tokenUrl, type KeystoneAuthentication } from './token-request.ts'
import { unlessAborted } from '../../../../lib/runtime/cancellation.ts'

/** Which endpoint to query and with which token. */
export interface Session {
  /** Neutron's URL as configured or as the catalog has it. */
  readonly endpoint: string
  /** Absent without authentication. */
  readonly token?: Secret
}

/** Who gives us sessions. */
export interface Sessions {
  session(signal: AbortSignal): Promise<Session>
  /** Reports that Neutron answered 401 to this one; the next one has a new token. */
  refused(session: Session): void
}

/** What it is made with. */
export interface KeystoneOptions {
  readonly config: NeutronRestConfig
  readonly authentication: KeystoneAuthentication
  readonly http: Exchanges
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: NeutronRestMetrics
  readonly random: () => number
}

/** A token is renewed when a tenth of its life is left, at most this early. */
const earliestRenewal: Milliseconds = 300_000

/** Keystone locks accounts after some wrong passwords, hence the slow first step. */
const refusedOpenTime: Milliseconds = 10_000

interface CachedSession {
  readonly session: Session
  readonly renewAt: MonotonicMilliseconds
}

/** @throws MetadataError as {@link chooseEndpoint} does */
function endpointOf(text: string, config: NeutronRestConfig): string {
  if (config.endpoint !== undefined) return config.endpoint
  return chooseEndpoint(parseIssuedToken(text).catalog, config)
}

/**
 * Tokens of Keystone v3: fetched when first needed, shared by all callers, renewed before they expire and after a 401.
 * Expiry is counted on our monotonic clock from the lifetime that Keystone states, so neither a jump of our wall clock
 * nor a difference to Keystone's matters.
 */
export class Keystone implements Sessions {
  readonly #options: KeystoneOptions
  readonly #circuitBreaker: CircuitBreaker
  #held: CachedSession | undefined
  #fetching: Promise<Session> | undefined

  constructor(options: KeystoneOptions) {
    this.#options = options
    const { clock, random } = options
    this.#circuitBreaker = new CircuitBreaker({ clock, random, first: 500, longest: 60_000 })
  }

  async session(signal: AbortSignal): Promise<Session> {
    if (this.#held !== undefined && this.#options.clock.now() < this.#held.renewAt) {
      return this.#held.session
    }
    this.#circuitBreaker.check()
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined
    })
    return unlessAborted(this.#fetching, signal)
  }

  refused(session: Session): void {
    if (this.#held?.session === session) this.#held = undefined
  }

  async #fetch(): Promise<Session> {
    const { clock, config, metrics, logger } = this.#options
    const limit = new AbortController()
    const cancel = clock.schedule(config.timeoutQuery, () => {
      limit.abort(
        new MetadataError('directory_timeout', 'Cannot get a token: Keystone did not answer'),
      )
    })
    const asOf = clock.now()
    try {
      const { session, lifetime } = await this.#issue(limit.signal)
      const early = Math.min(earliestRenewal, lifetime / 10)
      this.#held = { session, renewAt: asOf + lifetime - early }
      this.#circuitBreaker.succeeded()
      metrics.queried('token', 'answered', clock.now() - asOf)
      logger.debug({ lifetime }, 'Got a token')
      return session
    } catch (cause) {
      const isRejected = cause instanceof MetadataError && 'status' in cause.details
      const outcome = isRejected ? 'rejected' : outcomeOf(cause)
      metrics.queried('token', outcome, clock.now() - asOf)
      if (cause instanceof MetadataError) {
        const refused = cause.details['status'] === 401
        this.#circuitBreaker.failed(cause, refused ? refusedOpenTime : 0)
      }
      throw cause
    } finally {
      cancel()
    }
  }

  async #issue(signal: AbortSignal): Promise<{ session: Session; lifetime: Milliseconds }> {
    const { authentication, config, http } = this.#options
    const answer = await http.exchange({
      method: 'POST',
      url: tokenUrl(authentication.authUrl),
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: tokenRequest(authentication),
      signal,
    })
    const { status } = answer
    if (status !== 201) {
      throw new MetadataError('directory_unavailable', refusalText(status), { details: { status } })
    }
    const token = answer.header('x-subject-token')
    if (token === undefined || token === '') {
      throw new MetadataError('directory_unavailable', 'Cannot get a token: Keystone sent none')
    }
    const { lifetime } = parseIssuedToken(answer.text)
    if (lifetime <= 0) {
      throw new MetadataError('directory_unavailable', 'Cannot get a token: it has expired')
    }
    const endpoint = endpointOf(answer.text, config)
    return { session: { endpoint, token: new Secret(token) }, lifetime }
  }
}

function refusalText(status: number): string {
  if (status === 401) {
    return 'Cannot get a token: Keystone answered 401, the credentials are wrong or have expired'
  }
  if (status === 404) return 'Cannot get a token: Keystone answered 404, check auth_url'
  return `Cannot get a token: Keystone answered ${status}`
}

/** The session of a server that needs no token, as laboratories run. */
export class NoAuthentication implements Sessions {
  readonly #session: Session

  constructor(endpoint: string) {
    this.#session = { endpoint }
  }

  async session(): Promise<Session> {
    return this.#session
  }

  refused(): void {
    // There is no token that could be renewed.
  }
}
