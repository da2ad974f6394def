import { LRUCache } from 'lru-cache'
import type { Count } from '../../lib/runtime/clock.ts'
import type { NetworkId, RouterId } from '../../lib/identity/ids.ts'
import type { Scope } from '../../lib/identity/scope.ts'
import type { DirectoryChange } from '../ports/directory/port-directory.ts'

/** A place in the order of changes. */
export type ChangeNumber = number

/** What an answer rests on: a change to any of it makes the answer doubtful. */
export interface Dependencies {
  readonly scope: Scope
  readonly networkIds: readonly NetworkId[]
}

/**
 * Remembers which networks and routers changed last, and when in the order of changes. An answer is still good if
 * nothing it rests on changed after its query *began*: what a source answered before it reported a change may be either
 * side of that change.
 */
export class ChangeLog {
  #latest: ChangeNumber = 0
  /** Changes up to here may have been forgotten, so older answers get no benefit of the doubt. */
  #forgotten: ChangeNumber = 0
  #everything: ChangeNumber = 0
  readonly #networks: LRUCache<NetworkId, ChangeNumber>
  readonly #routers: LRUCache<RouterId, ChangeNumber>

  /** @param max how many networks, and how many routers, to remember */
  constructor(max: Count) {
    const dispose = (number: ChangeNumber, _id: string, why: LRUCache.DisposeReason): void => {
      if (why === 'evict') this.#forgotten = Math.max(this.#forgotten, number)
    }
    this.#networks = new LRUCache<NetworkId, ChangeNumber>({ max, dispose })
    this.#routers = new LRUCache<RouterId, ChangeNumber>({ max, dispose })
  }

  get latest(): ChangeNumber {
    return this.#latest
  }

  note(change: DirectoryChange): void {
    this.#latest += 1
    if (change.kind === 'all') this.#everything = this.#latest
    else if (change.kind === 'network') this.#networks.set(change.networkId, this.#latest)
    else this.#routers.set(change.routerId, this.#latest)
  }

  /** True when none of it changed after `since`. */
  isUnchanged(since: ChangeNumber, { scope, networkIds }: Dependencies): boolean {
    if (since >= this.#latest) return true
    if (since < this.#everything) return false
    const ofScope =
      scope.kind === 'router'
        ? this.#routers.peek(scope.routerId)
        : this.#networks.peek(scope.networkId)
    if ((ofScope ?? this.#forgotten) > since) return false
    return networkIds.every(
      (networkId) => (this.#networks.peek(networkId) ?? this.#forgotten) <= since,
    )
  }
}
