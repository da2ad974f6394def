/** Which ports may a request have come from? Two questions to the port directory: which networks, and which ports on them. */
import type { Cancellable } from '../../lib/runtime/cancellation.ts'
import type { Clock, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import {
  networksOf,
  type Freshness,
  type Port,
  type PortDirectory,
} from '../ports/directory/port-directory.ts'
import { portQueries, type IdentityRules } from './identity-policy.ts'
import { shownPlace, shownPort } from './operator-view.ts'
import { networksOfPlace, placeOf, placeOfIngress, type Place } from './place.ts'
import type { LookupKey } from './resolution.ts'
import type { Trace } from './trace.ts'

export interface CandidatesOptions extends IdentityRules {
  readonly directory: PortDirectory
  readonly clock: Clock
  readonly observer?: DirectoryObserver
}

/** Callbacks for metrics. */
export interface DirectoryObserver {
  /** One query to the directory, of either method. */
  queried(method: 'networks' | 'ports', freshness: Freshness): void
}

/** Something that was read at a time. */
export interface DatedPlace {
  readonly place: Place
  readonly asOf: MonotonicMilliseconds
  /** Infinite or absent where the directory reports changes. */
  readonly until?: MonotonicMilliseconds
}

/** The ports that a request may have come from. */
export interface Candidates extends DatedPlace {
  readonly ports: readonly Port[]
}

/** Goes on at once where there is no promise. */
export function after<From, To>(
  value: From | Promise<From>,
  use: (value: From) => To | Promise<To>,
): To | Promise<To> {
  return value instanceof Promise ? value.then(use) : use(value)
}

/** Queries the port directory. It answers at once, without a promise, when the directory does. */
export class CandidatePorts {
  readonly #options: CandidatesOptions

  constructor(options: CandidatesOptions) {
    this.#options = options
  }

  /** @throws what the directory throws, also by a rejected promise */
  find(
    key: LookupKey,
    freshness: Freshness,
    caller: Cancellable,
    trace: Trace | undefined,
  ): Candidates | Promise<Candidates> {
    const { clock } = this.#options
    const began = clock.now()
    // A fresh answer is as new as its query, even when a pushed copy stamps it with the last push.
    const dated = (asOf: MonotonicMilliseconds): MonotonicMilliseconds =>
      freshness === 'fresh' ? Math.max(asOf, began) : Math.min(asOf, clock.now())
    return after(this.#place(key, freshness, caller), (found) => {
      const { place } = found
      trace?.note('networks', { scope: scopeText(key.scope), ...shownPlace(key, place), freshness })
      const asOf = dated(found.asOf)
      // Never query no networks: a source could take that for all of them.
      const { until = Infinity } = found
      if (place.onLink.length === 0) return { place, ports: [], asOf, until }
      return after(this.#ports(key, place, freshness, caller), (answers) => {
        const ports = answers.flatMap((answer) => answer.ports)
        trace?.note('ports', { freshness, candidates: ports.map(shownPort) })
        const oldest = Math.min(asOf, ...answers.map((answer) => dated(answer.asOf)))
        const soonest = Math.min(until, ...answers.map((answer) => answer.until ?? Infinity))
        return { place, ports, asOf: oldest, until: soonest }
      })
    })
  }

  #place(
    key: LookupKey,
    freshness: Freshness,
    caller: Cancellable,
  ): DatedPlace | Promise<DatedPlace> {
    const { scope, ingressPort } = key
    if (scope.kind === 'network') return { place: placeOf([scope.networkId]), asOf: Infinity }
    const { directory, observer, routed } = this.#options
    observer?.queried('networks', freshness)
    return after(
      directory.interfacesOfRouter(scope.routerId, new DirectoryQuery(freshness, caller)),
      ({ interfaces, ...dates }) => ({
        place:
          ingressPort === undefined
            ? placeOf(networksOf(interfaces))
            : placeOfIngress(ingressPort, interfaces, routed),
        ...dates,
      }),
    )
  }

  #ports(
    key: LookupKey,
    place: Place,
    freshness: Freshness,
    caller: Cancellable,
  ): readonly PortsOf[] | Promise<readonly PortsOf[]> {
    const { directory, observer, sourceMac } = this.#options
    const answers = portQueries(sourceMac, key, networksOfPlace(place)).map((query) => {
      observer?.queried('ports', freshness)
      return directory.findPorts(query, new DirectoryQuery(freshness, caller))
    })
    const isAtOnce = answers.every((answer) => !(answer instanceof Promise))
    return isAtOnce
      ? (answers as readonly PortsOf[])
      : Promise.all(answers.map(async (answer) => answer))
  }
}

type PortsOf = Awaited<ReturnType<PortDirectory['findPorts']>>

/** Hands the signal on only when the directory looks at it. */
class DirectoryQuery {
  readonly freshness: Freshness
  readonly #caller: Cancellable

  constructor(freshness: Freshness, caller: Cancellable) {
    this.freshness = freshness
    this.#caller = caller
  }

  get signal(): AbortSignal {
    return this.#caller.signal
  }
}
