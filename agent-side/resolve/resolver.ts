/** Who is behind this address? The cache if it knows, else the port directory, and never a guess. */
import {
  unlessAborted,
  type Cancellable,
  type Cancellation,
} from '../../lib/runtime/cancellation.ts'
import type { Count, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import type { Freshness } from '../ports/directory/port-directory.ts'
import {
  after,
  CandidatePorts,
  type CandidatesOptions,
  type DatedPlace,
  type DirectoryObserver,
} from './candidates.ts'
import { ChangeLog } from './change-log.ts'
import { decideIdentity } from './identity-policy.ts'
import { MacMemory } from './mac-memory.ts'
import { lookupKeyText, type LookupKey, type Resolution, type Verdict } from './resolution.ts'
import { ResolutionCache, type CacheLimits } from './resolution-cache.ts'
import { shownVerdict } from './operator-view.ts'
import { SingleFlight } from './single-flight.ts'
import type { Trace } from './trace.ts'

export interface ResolverOptions extends CandidatesOptions {
  readonly cache: CacheLimits
  /** How long one resolution may take; a guest gives up after ten seconds. */
  readonly timeout: Milliseconds
  /** How many different lookup keys may be looked up at once. */
  readonly maxLookups: Count
  /** How many of them in one scope. */
  readonly maxLookupsPerScope: Count
  readonly observer?: ResolverObserver
}

/** Callbacks for metrics. */
export interface ResolverObserver extends DirectoryObserver {
  answeredFromCache(): void
  /** A remembered answer would have named another instance than the source does now. */
  staleAnswerFenced(): void
  resolved(span: Milliseconds): void
}

/** What goes with a resolution: until when it is wanted, and who records the steps. */
export interface ResolveOptions extends Cancellable {
  /** `fresh` uses nothing remembered, and joins only lookups that do not either. @default 'cached' */
  readonly freshness?: Freshness
  readonly trace?: Trace | undefined
}

/** Changes come faster than answers only when a source is being rebuilt; then the guest gets a 503. */
const mostAttempts = 3

/** More networks and routers than this change rarely within one `ttl`; beyond, old answers are merely looked up again. */
const rememberedChanges = 65_536

function isSameAnswer(one: Verdict, other: Verdict): boolean {
  if (one.kind !== 'found' || other.kind !== 'found') return one.kind === other.kind
  return (
    one.identity.instanceId === other.identity.instanceId &&
    one.identity.projectId === other.identity.projectId
  )
}

/** Verdicts that a remembered answer may carry. Any other may just mean that the memory is out of date. */
function isOrdinary(verdict: Verdict): boolean {
  return verdict.kind === 'found' && !['routed', 'same_instance'].includes(verdict.basis)
}

/** The usual verdict field by field, since a copy of whatever an object holds takes far longer. */
function dated(
  verdict: Verdict,
  { asOf, until = Infinity }: Pick<DatedPlace, 'asOf' | 'until'>,
  freshness: Freshness,
): Resolution {
  const dates = { asOf, ...(until < Infinity && { until }), freshness }
  if (verdict.kind !== 'found') return { ...verdict, ...dates }
  const { kind, identity, basis, evidence } = verdict
  return { kind, identity, basis, evidence, ...dates }
}

/**
 * Resolves lookup keys. Answers at once, without a promise, when the cache or a directory with its own copy knows.
 *
 * A verdict is used when the ports it rests on did not change while they were looked up. One that a reused address
 * would also look like (unknown or conflicting MAC, no port, several) is used only from a fresh answer.
 */
export class Resolver {
  readonly #options: ResolverOptions
  readonly #candidates: CandidatePorts
  readonly #changes = new ChangeLog(rememberedChanges)
  readonly #cache: ResolutionCache
  readonly #macs: MacMemory
  readonly #flights: SingleFlight<Resolution>
  readonly #unsubscribe: () => void

  constructor(options: ResolverOptions) {
    this.#options = options
    this.#candidates = new CandidatePorts(options)
    this.#cache = new ResolutionCache(options.clock, this.#changes, options.cache)
    this.#macs = new MacMemory(options.clock, options.cache.max, options.sourceMac)
    this.#flights = new SingleFlight({
      max: options.maxLookups,
      maxPerGroup: options.maxLookupsPerScope,
    })
    this.#unsubscribe = options.directory.onChange((change) => this.#changes.note(change))
  }

  /** Stops listening to the directory, which belongs to whoever made it. */
  close(): void {
    this.#unsubscribe()
  }

  get cacheSize(): { readonly found: Count; readonly refused: Count } {
    return this.#cache.size
  }

  get openQueries(): Count {
    return this.#flights.size
  }

  /**
   * @throws {MetadataError} directory_unavailable, directory_timeout, directory_not_ready, mapping_changed, overloaded;
   * also by a rejected promise. The reason of `options.signal` when it is aborted.
   */
  resolve(key: LookupKey, options: ResolveOptions): Resolution | Promise<Resolution> {
    return this.#resolveAsOf(key, options, this.#options.clock.now())
  }

  #resolveAsOf(
    key: LookupKey,
    options: ResolveOptions,
    began: MonotonicMilliseconds,
  ): Resolution | Promise<Resolution> {
    const { trace, freshness = 'cached' } = options
    if (freshness === 'cached') {
      const known = this.remembered(key)
      if (trace !== undefined) this.#noteCache(trace, key, known)
      if (known !== undefined) {
        this.#options.observer?.answeredFromCache()
        return known
      }
    }
    const answer = this.#flights.join(
      () => {
        const keyText = lookupKeyText(key)
        // A traced query runs by itself, or its steps would be in another one's record.
        const flight = trace === undefined ? `${freshness} ${keyText}` : Symbol(keyText)
        return { flight, group: scopeText(key.scope) }
      },
      options,
      (cancellation) =>
        this.#within(cancellation, (cancellation) =>
          this.#attempt(key, freshness, cancellation, trace, 1),
        ),
    )
    // Only a query that another request began can be too old.
    return after(answer, (resolution) =>
      this.#isVerified(resolution, began)
        ? resolution
        : this.#resolveAsOf(key, { ...options, freshness: 'fresh' }, began),
    )
  }

  /** With `verify` an answer that no change would have ended is used only from a query sent after the request came. */
  #isVerified(
    { asOf, until = Infinity }: { readonly asOf: number; readonly until?: number },
    began: MonotonicMilliseconds,
  ): boolean {
    return this.#options.sourceMac !== 'verify' || until === Infinity || asOf >= began
  }

  /** What is remembered for the key and still true, without a query. */
  remembered(key: LookupKey): Resolution | undefined {
    const known = this.#cache.get(key)
    if (known === undefined || this.#macs.withoutImpostors(key, known) === known) return known
    // It was accepted before its port was seen, and must not fare better than one that comes after.
    this.#cache.forget(key)
    return undefined
  }

  /** Calls with a key when its found identity is given up or replaced before its time. */
  onForgotten(listener: (key: LookupKey) => void): () => void {
    return this.#cache.onForgotten(listener)
  }

  /** Drops what is remembered for the key. */
  forget(key: LookupKey): void {
    this.#cache.forget(key)
  }

  #noteCache(trace: Trace, key: LookupKey, known: Resolution | undefined): void {
    const keyText = lookupKeyText(key)
    if (known === undefined) {
      trace.note('cache', { key: keyText, hit: false })
      return
    }
    const age = this.#options.clock.now() - known.asOf
    trace.note('cache', { key: keyText, hit: true, age, ...shownVerdict(known) })
  }

  /** Runs a lookup under the time limit, whether or not the directory heeds its signal. */
  #within(
    cancellation: Cancellation,
    lookup: (cancellation: Cancellation) => Resolution | Promise<Resolution>,
  ): Resolution | Promise<Resolution> {
    const { clock, timeout, observer } = this.#options
    const began = clock.now()
    const answer = lookup(cancellation)
    if (!(answer instanceof Promise)) {
      observer?.resolved(clock.now() - began)
      return answer
    }
    const cancel = clock.schedule(timeout, () =>
      cancellation.cancel(
        new MetadataError('directory_timeout', 'Cannot resolve: the port directory is too slow', {
          details: { timeout },
        }),
      ),
    )
    return unlessAborted(answer, cancellation.signal).finally(() => {
      cancel()
      observer?.resolved(clock.now() - began)
    })
  }

  #attempt(
    key: LookupKey,
    freshness: Freshness,
    caller: Cancellable,
    trace: Trace | undefined,
    attempt: Count,
  ): Resolution | Promise<Resolution> {
    const requestedAt = this.#changes.latest
    return after(this.#query(key, freshness, caller, trace), (resolution) => {
      const { networkIds } = resolution.evidence
      if (this.#changes.isUnchanged(requestedAt, { scope: key.scope, networkIds })) {
        if (this.#isVerified(resolution, Infinity)) this.#cache.store(key, resolution, requestedAt)
        return resolution
      }
      trace?.note('changed', { attempt, detail: 'The directory reported a change meanwhile' })
      if (attempt >= mostAttempts) {
        throw new MetadataError(
          'mapping_changed',
          'Cannot resolve: ports change while they are read',
          {
            details: { key: lookupKeyText(key), attempts: attempt },
          },
        )
      }
      return this.#attempt(key, freshness, caller, trace, attempt + 1)
    })
  }

  /** Queries and decides; queries again, past the cache, what a remembered answer cannot settle. */
  #query(
    key: LookupKey,
    freshness: Freshness,
    caller: Cancellable,
    trace: Trace | undefined,
  ): Resolution | Promise<Resolution> {
    const { clock, observer } = this.#options
    const began = clock.now()
    return after(this.#candidates.find(key, freshness, caller, trace), (candidates) => {
      const { place, ports, asOf } = candidates
      const decided = decideIdentity(this.#options, key, place, ports)
      const verdict = this.#macs.withoutImpostors(key, decided)
      this.#macs.note(key, verdict)
      const age = clock.now() - asOf
      trace?.note('decide', { freshness, age, ...shownVerdict(verdict) })
      const isGoodEnough = isOrdinary(verdict) && this.#isVerified(candidates, began)
      if (freshness === 'fresh' || isGoodEnough) return dated(verdict, candidates, freshness)
      return after(this.#query(key, 'fresh', caller, trace), (fresh) => {
        if (verdict.kind === 'found' && !isSameAnswer(verdict, fresh)) observer?.staleAnswerFenced()
        return fresh
      })
    })
  }
}
