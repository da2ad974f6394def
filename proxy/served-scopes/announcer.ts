/** How do the agents of this host receive which scopes it serves, so that they answer no worker for others? */
import type { Clock } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { ScopeText } from '../../lib/identity/scope.ts'
import { ScopesLink, type ScopesLinkStatus } from './scopes-link.ts'

export interface AnnouncerOptions {
  /** Paths of the agents' sockets for reports. */
  readonly sockets: readonly string[]
  /** The account of the workers. */
  readonly workers: number
  readonly clock: Clock
  readonly logger: Logger
}

/** Holds what is served, and a link to each agent. */
export class Announcer {
  readonly #links: readonly ScopesLink[]
  #scopes: ReadonlySet<ScopeText> | undefined

  constructor(options: AnnouncerOptions) {
    const { sockets, workers, clock, logger } = options
    const scopes = (): ReadonlySet<ScopeText> | undefined => this.#scopes
    this.#links = sockets.map(
      (socket) => new ScopesLink({ socket, workers, scopes, clock, logger }),
    )
  }

  get status(): readonly ScopesLinkStatus[] {
    return this.#links.map(({ status }) => status)
  }

  start(): void {
    for (const link of this.#links) link.start()
  }

  /** Call it before sockets are made for what is new: then no request comes before its scope. */
  announce(scopes: ReadonlySet<ScopeText>): void {
    const before = this.#scopes
    const added = [...scopes].filter((scope) => before?.has(scope) !== true)
    const removed = [...(before ?? [])].filter((scope) => !scopes.has(scope))
    this.#scopes = scopes
    if (before !== undefined && added.length + removed.length === 0) return
    for (const link of this.#links) link.changed(added, removed)
  }

  close(): void {
    for (const link of this.#links) link.close()
  }
}
