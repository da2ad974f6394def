/** Where have other programs removed our rules lately, and which? */
import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import { terminalText } from '../../lib/observe/text-table.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import type { ChangeAuthor } from '../netlink/table-events.ts'

/** Removals in one namespace. */
export interface Removals {
  /** In the latest ten minutes. */
  readonly count: Count
  /** `nft (process 123)`: the last that is known. */
  readonly by: string | undefined
}

const lately: Milliseconds = 600_000
const mostRemembered: Count = 16

interface Remembered {
  readonly at: readonly MonotonicMilliseconds[]
  readonly by: string | undefined
}

/** Remembers removals by namespace. */
export class RuleRemovals {
  readonly #clock: Clock
  readonly #byNamespace = new Map<NamespaceKey, Remembered>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @returns who it was, in words, where that is known */
  note(key: NamespaceKey, author: ChangeAuthor | undefined): string | undefined {
    const { at = [], by: earlier } = this.#byNamespace.get(key) ?? {}
    const by = author && `${terminalText(author.program)} (process ${author.pid})`
    const times = [...at.slice(1 - mostRemembered), this.#clock.now()]
    this.#byNamespace.set(key, { at: times, by: by ?? earlier })
    return by
  }

  forget(key: NamespaceKey): void {
    this.#byNamespace.delete(key)
  }

  of(key: NamespaceKey): Removals {
    const { at, by } = this.#byNamespace.get(key) ?? { at: [], by: undefined }
    const since = this.#clock.now() - lately
    return { count: at.filter((one) => one >= since).length, by }
  }
}
