/** Which rules did an earlier proxy leave in namespaces that are not served any more? */
import { setImmediate } from 'node:timers/promises'
import type { Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { FoundNamespace } from '../netns/discover.ts'
import { openNamespace, type NamespaceKey } from '../netns/namespace-handle.ts'
import { listListeningRows } from '../../lib/host/port-listeners.ts'
import type { NamespaceWindow } from '../netns/window.ts'
import type { RuleLoader } from './rule-loader.ts'

export interface LeftoverTablesOptions {
  readonly window: NamespaceWindow
  readonly loader: RuleLoader
  /** Where our rules lead. */
  readonly tcpPort: number
  readonly clock: Clock
  readonly logger: Logger
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

  /** Removes our table where no process listens behind it; where one does, another proxy may be at work, and it is only logged. */
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
        this.#cleanOne(one)
      } catch (cause) {
        logger.warn({ netns: one.netns, cause: causeText(cause) }, 'Cannot remove old rules')
      }
    }
  }

  #cleanOne(one: FoundNamespace): void {
    const { loader, window, tcpPort, logger } = this.#options
    const { netns, key } = one
    if (key === window.homeKey || loader.count(one) === 0) return
    if (this.#isListenedIn(one)) {
      const message = 'Rules in a namespace that another process serves are left alone'
      logger.warn({ netns, tcpPort }, message)
      return
    }
    loader.remove(one)
    logger.info({ netns }, 'Rules of an earlier proxy are removed')
  }

  #isListenedIn({ path }: FoundNamespace): boolean {
    const { window, tcpPort } = this.#options
    const handle = openNamespace(path)
    try {
      const rows = window.run(handle, () => listListeningRows('thread-self'))
      return rows.some((row) => row.tcpPort === tcpPort)
    } finally {
      handle.close()
    }
  }

  close(): void {
    this.#abort.abort()
  }
}
