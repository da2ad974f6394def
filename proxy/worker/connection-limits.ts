import type { Count } from '../../lib/clock.ts'
import type { IpAddress } from '../../lib/ip-address.ts'

/** Which limit a new connection met. */
export type ConnectionLimit = 'source' | 'namespace'

/** How many connections may be open at once. */
export interface ConnectionCaps {
  readonly connectionsPerSource: Count
  readonly connectionsPerNamespace: Count
}

/**
 * Counts the open connections of one scope, all of them and by source address. It never holds more addresses than
 * the scope may hold connections, however many a guest makes up.
 */
export class ScopeConnections {
  readonly #caps: ConnectionCaps
  readonly #bySource = new Map<IpAddress, Count>()
  #open: Count = 0
  /** Listening sockets that count here. */
  listeners: Count = 0

  constructor(caps: ConnectionCaps) {
    this.#caps = caps
  }

  /** True when nothing counts here and nothing will. */
  get isUnused(): boolean {
    return this.#open === 0 && this.listeners === 0
  }

  /** Counts a new connection. @returns the limit it met, and then it is not counted */
  take(source: IpAddress): ConnectionLimit | undefined {
    if (this.#open >= this.#caps.connectionsPerNamespace) return 'namespace'
    const ofSource = this.#bySource.get(source) ?? 0
    if (ofSource >= this.#caps.connectionsPerSource) return 'source'
    this.#bySource.set(source, ofSource + 1)
    this.#open += 1
    return undefined
  }

  /** Undoes one {@link ScopeConnections.take} that was let through. */
  release(source: IpAddress): void {
    const ofSource = this.#bySource.get(source) ?? 0
    if (ofSource > 1) this.#bySource.set(source, ofSource - 1)
    else this.#bySource.delete(source)
    this.#open -= 1
  }
}
