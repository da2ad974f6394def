import { LRUCache } from 'lru-cache'
import type { Count } from '../../lib/clock.ts'
import type { NetworkId } from '../../lib/ids.ts'
import type { Scope } from '../../lib/scope.ts'
import type { DirectoryChange } from '../ports/port-directory.ts'

/** A place in the order of changes. */
export type ChangeNumber = number

/** What an answer rests on: a change to any of it makes the answer doubtful. */
export interface Dependencies {
  readonly scope: Scope
  readonly networkIds: readonly NetworkId[]
}

/**
 * Remembers which networks and routers changed last, and when in the order of changes. An answer is still good if
 * nothing it rests on changed after its question *began*: what a source said before it told of a change may be either
 * side of that change.
 */
export class ChangeLog {
  #latest: ChangeNumber = 0
  /** Changes up to here may have been forgotten, so older answers get no benefit of the doubt. */
  #forgotten: ChangeNumber = 0
  #everything: ChangeNumber = 0
  readonly #changed: LRUCache<string, ChangeNumber>

  /** @param max how many networks and routers to remember */
  constructor(max: Count) {
    this.#changed = new LRUCache<string, ChangeNumber>({
      max,
      dispose: (number, _place, why) => {
        if (why === 'evict') this.#forgotten = Math.max(this.#forgotten, number)
      },
    })
  }

  get latest(): ChangeNumber {
    return this.#latest
  }

  note(change: DirectoryChange): void {
    this.#latest += 1
    if (change.kind === 'all') this.#everything = this.#latest
    else if (change.kind === 'network') this.#changed.set(change.networkId, this.#latest)
    else this.#changed.set(`router ${change.routerId}`, this.#latest)
  }

  /** True when none of it changed after `since`. */
  isUnchanged(since: ChangeNumber, { scope, networkIds }: Dependencies): boolean {
    if (since >= this.#latest) return true
    if (since < this.#everything) return false
    if (scope.kind === 'router' && this.#lastChange(`router ${scope.routerId}`) > since)
      return false
    if (scope.kind === 'network' && this.#lastChange(scope.networkId) > since) return false
    return networkIds.every((networkId) => this.#lastChange(networkId) <= since)
  }

  #lastChange(place: string): ChangeNumber {
    return this.#changed.peek(place) ?? this.#forgotten
  }
}
