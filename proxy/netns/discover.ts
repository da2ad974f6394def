/** Which network namespaces are there, and when does that change? */
import { readdirSync, watch, type FSWatcher } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import type { Cancel, Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { jittered } from '../../lib/runtime/backoff.ts'
import { namespaceKeyOf, type NamespaceKey } from './namespace-handle.ts'

/** A name and the namespace that it stands for at this moment. */
export interface FoundNamespace {
  /** The name under the directory, or the absolute path for one from elsewhere. */
  readonly netns: string
  readonly path: string
  readonly key: NamespaceKey
}

/** What one look at the folder found. */
export interface Scan {
  readonly found: readonly FoundNamespace[]
  /** Names on which no namespace is mounted: `ip netns add` is half-way, or the mount is broken. */
  readonly unmounted: readonly string[]
}

/**
 * Looks at every name of the directory, and at the absolute paths given beside it. A directory that does not exist is an empty one:
 * the first `ip netns add` makes it.
 */
export function scanNamespaces(directory: string, paths: readonly string[]): Scan {
  const found: FoundNamespace[] = []
  const unmounted: string[] = []
  for (const netns of [...namesIn(directory), ...paths]) {
    const path = isAbsolute(netns) ? netns : join(directory, netns)
    try {
      const key = namespaceKeyOf(path)
      if (key === undefined) unmounted.push(netns)
      else found.push({ netns, path, key })
    } catch (cause) {
      // Deleted since the listing; anything else is a broken mount.
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') unmounted.push(netns)
    }
  }
  return { found, unmounted }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw cause
  }
}

export interface DiscoveryOptions {
  /** `/run/netns` */
  readonly directory: string
  /** Absolute paths from the operator's mappings. */
  readonly paths: readonly string[]
  readonly clock: Clock
  readonly logger: Logger
  /** How often everything is looked at without a reported change. */
  readonly fullPass: Milliseconds
  /** Called after each look with all there is. */
  readonly onScan: (found: readonly FoundNamespace[]) => void
}

/** Events come in bursts; one look serves all of a burst. */
const settle: Milliseconds = 10
/** The mount follows the file without an event, so a bare file is looked at again, ever more slowly. */
const firstLookAgain: Milliseconds = 10
const lastLookAgain: Milliseconds = 2_000
/** While there is no directory to watch. */
const watchAgain: Milliseconds = 1_000

/** Watches a directory of namespaces by events, with a slow full pass as the safety net. */
export class NamespaceDiscovery {
  readonly #options: DiscoveryOptions
  #watcher: FSWatcher | undefined
  #cancelLook: Cancel | undefined
  #lookDue: Milliseconds = Number.POSITIVE_INFINITY
  #cancelPass: Cancel | undefined
  #cancelWatch: Cancel | undefined
  #lookAgain = firstLookAgain
  #reported: ReadonlySet<string> = new Set()
  #isClosed = false

  constructor(options: DiscoveryOptions) {
    this.#options = options
  }

  /** Watches first and looks after, so that nothing is missed between the two. */
  start(): void {
    this.#watch()
    this.look()
    this.#schedulePass()
  }

  /** Names on which no namespace is mounted, and none came in some seconds. */
  get unmounted(): readonly string[] {
    return [...this.#reported]
  }

  close(): void {
    this.#isClosed = true
    this.#watcher?.close()
    for (const cancel of [this.#cancelLook, this.#cancelPass, this.#cancelWatch]) cancel?.()
  }

  /** Looks now. */
  look(): void {
    if (this.#isClosed) return
    this.#cancelLook?.()
    this.#cancelLook = undefined
    this.#lookDue = Number.POSITIVE_INFINITY
    const { directory, paths, logger, onScan } = this.#options
    let scan: Scan
    try {
      scan = scanNamespaces(directory, paths)
    } catch (cause) {
      logger.error({ directory, cause: causeText(cause) }, 'Cannot list network namespaces')
      return
    }
    this.#followUnmounted(scan.unmounted)
    onScan(scan.found)
  }

  #followUnmounted(unmounted: readonly string[]): void {
    this.#reported = new Set([...this.#reported].filter((netns) => unmounted.includes(netns)))
    const fresh = unmounted.filter((netns) => !this.#reported.has(netns))
    if (fresh.length === 0) {
      this.#lookAgain = firstLookAgain
      return
    }
    if (this.#lookAgain <= lastLookAgain) {
      this.#lookIn(this.#lookAgain)
      this.#lookAgain *= 2
      return
    }
    this.#lookAgain = firstLookAgain
    this.#reported = new Set(unmounted)
    this.#options.logger.warn(
      { netns: fresh.slice(0, 20), count: fresh.length },
      'Names without a mounted namespace are left out',
    )
  }

  #lookIn(span: Milliseconds): void {
    const due = this.#options.clock.now() + span
    if (this.#isClosed || due >= this.#lookDue) return
    this.#cancelLook?.()
    this.#lookDue = due
    this.#cancelLook = this.#options.clock.schedule(span, () => this.look())
  }

  #watch(): void {
    if (this.#isClosed) return
    const { directory, clock, logger } = this.#options
    try {
      this.#watcher = watch(directory, { persistent: false }, () => this.#changed())
    } catch {
      this.#cancelWatch = clock.schedule(watchAgain, () => {
        this.#watch()
        this.look()
      })
      return
    }
    this.#watcher.on('error', (cause) => {
      logger.warn({ directory, cause: causeText(cause) }, 'Watch of network namespaces ended')
      this.#watcher?.close()
      this.#cancelWatch = clock.schedule(watchAgain, () => {
        this.#watch()
        this.look()
      })
    })
  }

  #changed(): void {
    this.#lookAgain = firstLookAgain
    this.#lookIn(settle)
  }

  #schedulePass(): void {
    const { clock, fullPass } = this.#options
    this.#cancelPass = clock.schedule(jittered(fullPass), () => {
      this.look()
      if (!this.#isClosed) this.#schedulePass()
    })
  }
}
