/** Which routers and networks does this host serve? Those that supervisors report, and those that requests named lately. */
import type {
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import type { ScopeText } from '../../../lib/identity/scope.ts'

/** More namespaces than a host has. The one that was named longest ago goes first. */
const mostNamed: Count = 4_096
/** A guest sends requests at its start, and some of them every few minutes. */
const longestIdle: Milliseconds = 3_600_000

/** Bounded, since a proxy may name whatever it likes. */
export class WantedScopes {
  readonly #clock: Clock
  #reported: ReadonlySet<ScopeText> = new Set()
  /** When each was named last, the one longest ago first. */
  readonly #named = new Map<ScopeText, MonotonicMilliseconds>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get all(): ReadonlySet<ScopeText> {
    return new Set([...this.#reported, ...this.#named.keys()])
  }

  /** Takes the whole list of what supervisors report. */
  report(scopes: ReadonlySet<ScopeText>): void {
    this.#reported = scopes
    for (const scope of scopes) this.#named.delete(scope)
  }

  /** A request is for it. @returns whether it is a new one */
  name(scope: ScopeText): boolean {
    if (this.#reported.has(scope)) return false
    const isNew = !this.#named.delete(scope)
    this.#named.set(scope, this.#clock.now())
    const [oldest] = this.#named.size > mostNamed ? this.#named.keys() : []
    if (oldest !== undefined) this.#named.delete(oldest)
    return isNew
  }

  /** A request is for it, which another one has named or brought along. */
  use(scope: ScopeText): void {
    if (this.#named.has(scope)) this.name(scope)
  }

  /** It is gone at the source. @returns whether only requests had named it */
  forget(scope: ScopeText): boolean {
    return this.#named.delete(scope)
  }

  /** Drops what no request named for long. @returns whether there was any */
  expire(): boolean {
    const before = this.#named.size
    const end = this.#clock.now() - longestIdle
    for (const [scope, at] of this.#named) {
      if (at > end) break
      this.#named.delete(scope)
    }
    return this.#named.size < before
  }
}
