/** In which namespaces has another program changed rules just now? */
import { SlicedQueue } from '../../lib/runtime/sliced-queue.ts'
import type { Cancel, Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import { changedOf, type TableChange, type TableEvents } from '../netlink/table-events.ts'
import type { RuleTarget } from './rule-loader.ts'

export interface RuleWatchOptions {
  /** Begins to listen in a namespace. @throws Error when that is not possible */
  readonly open: (target: RuleTarget) => TableEvents
  readonly clock: Clock
  readonly logger: Logger
  readonly onChange: (key: NamespaceKey, change: TableChange) => void
}

interface Watched {
  readonly target: RuleTarget
  /** Absent until the namespace was visited. */
  events: TableEvents | undefined
}

/** One system call for all namespaces; a socket that waits costs nothing. */
const interval: Milliseconds = 500

/**
 * Has one netlink socket in each namespace and looks at all of them twice a second. Node cannot wait for sockets of this kind, and a
 * thousand of them are looked at in a tenth of a millisecond.
 */
export class RuleWatch {
  readonly #options: RuleWatchOptions
  readonly #watched = new Map<NamespaceKey, Watched>()
  readonly #queue: SlicedQueue<Watched>
  #cancel: Cancel | undefined
  #failure: string | undefined

  constructor(options: RuleWatchOptions) {
    this.#options = options
    this.#queue = new SlicedQueue({ clock: options.clock, visit: (one) => this.#open(one) })
  }

  start(): void {
    this.#cancel = this.#options.clock.schedule(interval, () => {
      this.#look()
      this.start()
    })
  }

  add(target: RuleTarget): void {
    if (this.#watched.has(target.key)) return
    const watched: Watched = { target, events: undefined }
    this.#watched.set(target.key, watched)
    this.#queue.add(watched)
  }

  /** Closes its socket, which would keep the namespace in being. */
  remove(key: NamespaceKey): void {
    this.#watched.get(key)?.events?.close()
    this.#watched.delete(key)
  }

  close(): void {
    this.#cancel?.()
    for (const key of this.#watched.keys()) this.remove(key)
  }

  #open(watched: Watched): void {
    const { open, logger } = this.#options
    const { target } = watched
    if (this.#watched.get(target.key) !== watched) return
    try {
      watched.events = open(target)
    } catch (cause) {
      // The slow look at all rules goes on, and finds what this would.
      const failure = causeText(cause)
      if (failure !== this.#failure) {
        logger.info({ cause: failure }, 'Changes of rules are noticed by the slow look alone')
      }
      this.#failure = failure
    }
  }

  #look(): void {
    const watching = [...this.#watched.values()].flatMap(({ target, events }) =>
      events === undefined ? [] : [{ target, events }],
    )
    for (const { target, events } of changedOf(watching)) {
      const change = events.take(({ pid }) => pid === process.pid)
      if (change !== undefined) this.#options.onChange(target.key, change)
    }
  }
}
