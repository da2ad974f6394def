/** Which rules did an earlier proxy leave in namespaces that are not served any more? */
import { setImmediate } from 'node:timers/promises'
import type { Clock, Milliseconds } from '../../lib/clock.ts'
import { causeText } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { FoundNamespace } from '../netns/discover.ts'
import { openNamespace, type NamespaceKey } from '../netns/namespace-handle.ts'
import { countRules } from '../netns/nftables.ts'
import { listListeningRows } from '../netns/port-holder.ts'
import type { NamespaceWindow } from '../netns/window.ts'
import { findNftPrograms, loadRuleset } from './nft.ts'
import { removalRuleset, tableName } from './ruleset.ts'

export interface LeftoverTablesOptions {
  readonly window: NamespaceWindow
  /** Where our rules lead. */
  readonly tcpPort: number
  readonly clock: Clock
  readonly logger: Logger
  readonly timeout: Milliseconds
}

/** One turn of the loop looks about so long. */
const slice: Milliseconds = 10

/** Looks once, when the proxy starts. What is served is none of its business: there the rules are replaced anyway. */
export class LeftoverTables {
  readonly #options: LeftoverTablesOptions
  readonly #abort = new AbortController()

  constructor(options: LeftoverTablesOptions) {
    this.#options = options
  }

  /** Removes our table where it leads to nobody; where somebody listens, another proxy may be at work, and it is only told. */
  async clean(found: readonly FoundNamespace[], served: ReadonlySet<NamespaceKey>): Promise<void> {
    const { clock, logger } = this.#options
    let end = clock.now() + slice
    for (const one of found) {
      if (this.#abort.signal.aborted) return
      if (served.has(one.key)) continue
      if (clock.now() >= end) {
        await setImmediate()
        end = clock.now() + slice
      }
      try {
        await this.#cleanOne(one)
      } catch (cause) {
        logger.debug({ netns: one.netns, cause: causeText(cause) }, 'Cannot look for rules of ours')
      }
    }
  }

  async #cleanOne({ path, key, netns }: FoundNamespace): Promise<void> {
    const { window, tcpPort, logger, timeout } = this.#options
    const handle = openNamespace(path)
    try {
      if (handle.key !== key || key === window.homeKey) return
      const state = window.run(handle, () => {
        if (countRules(tableName) === 0) return 'clean'
        const rows = listListeningRows('thread-self')
        return rows.some((row) => row.tcpPort === tcpPort) ? 'used' : 'left'
      })
      if (state === 'used') {
        logger.warn(
          { netns, tcpPort },
          'Rules in a namespace that somebody else serves are left alone',
        )
      }
      if (state !== 'left') return
      const signal = AbortSignal.any([AbortSignal.timeout(timeout), this.#abort.signal])
      await loadRuleset(findNftPrograms(), handle, removalRuleset(), signal)
      logger.info({ netns }, 'Rules of an earlier proxy are removed')
    } finally {
      handle.close()
    }
  }

  close(): void {
    this.#abort.abort()
  }
}
