/**
 * How many requests may one instance send? Its requests are counted under its instance id, after the instance is known: over IPv4 and
 * IPv6, every NIC and every network together. Before that nothing is known but the scope and the source MAC (the address
 * where there is no MAC), and there the same limits hold for requests that turn out to come from no instance: each of
 * those costs a query of the port directory, and a source of many is refused without another one.
 *
 * Requests of a boot are exempt and not counted: cloud-init makes 28 in a second or two and takes a 429 for final. What a
 * boot is, `BootDetector` decides. Refused requests are not counted either, so a steady poller gets its share.
 */
import type { Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { RateLimiter, type Offender, type RateLimits } from '../../lib/admission/rate-limit.ts'
import { TwoGenerationMap } from '../../lib/admission/two-generation-map.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import type { LookupKey } from '../resolve/resolution.ts'

/** What an operator may change while the agent runs. */
export interface RateLimitSettings {
  readonly isEnabled: boolean
  /** Counts what would be refused and refuses nothing. */
  readonly isDryRun: boolean
  readonly limits: RateLimits
}

export interface GuestRateLimitsOptions {
  readonly clock: Clock
  readonly settings: RateLimitSettings
  /** How many instances are remembered. */
  readonly maxInstances: Count
  readonly observer?: RateLimitObserver
}

/** Who is limited: an instance, or a source that is no instance. */
export type RateLimitSubject = 'instance' | 'source'

/** Callbacks for metrics. */
export interface RateLimitObserver {
  limited(subject: RateLimitSubject): void
  wouldLimit(subject: RateLimitSubject): void
  exempted(): void
}

/** Scopes in which an unknown source has sent requests lately, and sources in each: a guest can invent those, but not scopes. */
const maxScopes: Count = 1_024
const maxSourcesPerScope: Count = 256

function sourceText({ sourceMac, sourceIp }: LookupKey): string {
  return sourceMac ?? sourceIp
}

/** Counts and refuses. */
export class GuestRateLimits {
  readonly #options: GuestRateLimitsOptions
  readonly #instances: RateLimiter
  readonly #sources = new TwoGenerationMap<string, RateLimiter>(maxScopes)
  #settings: RateLimitSettings

  constructor(options: GuestRateLimitsOptions) {
    const { clock, settings, maxInstances } = options
    this.#options = options
    this.#settings = settings
    this.#instances = new RateLimiter({ clock, limits: settings.limits, max: maxInstances })
  }

  get settings(): RateLimitSettings {
    return this.#settings
  }

  /** How many instances are remembered. */
  get size(): Count {
    return this.#instances.size
  }

  /** Other settings from the next request on. */
  reconfigure(settings: RateLimitSettings): void {
    this.#settings = settings
    this.#instances.reconfigure(settings.limits)
    for (const [, sources] of this.#sources.entries()) sources.reconfigure(settings.limits)
  }

  /** The instances that were refused most, with or without dry run. For operators alone. */
  offenders(count: Count): readonly Offender[] {
    return this.#instances.offenders(count)
  }

  /** To be called before the source is looked up. @throws {MetadataError} rate_limited */
  checkSource(key: LookupKey): void {
    if (!this.#settings.isEnabled) return
    const wait = this.#sources.get(scopeText(key.scope))?.waitOf(sourceText(key)) ?? 0
    if (wait > 0) this.#refuse('source', wait)
  }

  /** The source is no instance. Not to be called when that could not be found out. */
  noteUnresolved(key: LookupKey): void {
    if (!this.#settings.isEnabled) return
    const scope = scopeText(key.scope)
    let sources = this.#sources.get(scope)
    if (sources === undefined) {
      const { limits } = this.#settings
      sources = new RateLimiter({ clock: this.#options.clock, limits, max: maxSourcesPerScope })
      this.#sources.set(scope, sources)
    }
    sources.admit(sourceText(key))
  }

  /** Counts a request of an instance. @throws {MetadataError} rate_limited */
  checkInstance(instanceId: string, isBooting: boolean): void {
    if (!this.#settings.isEnabled) return
    if (isBooting) {
      this.#options.observer?.exempted()
      return
    }
    const wait = this.#instances.admit(instanceId)
    if (wait > 0) this.#refuse('instance', wait)
  }

  #refuse(subject: RateLimitSubject, wait: Milliseconds): void {
    const { observer } = this.#options
    if (this.#settings.isDryRun) {
      observer?.wouldLimit(subject)
      return
    }
    observer?.limited(subject)
    throw new MetadataError(
      'rate_limited',
      `Cannot serve: the ${subject} sends too many requests`,
      {
        // Whole seconds, the next ones: earlier it would be refused again.
        retryAfter: Math.ceil(wait / 1_000),
        details: { subject, wait },
      },
    )
  }
}
