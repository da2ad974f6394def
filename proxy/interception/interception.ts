/** In which routers are packets to the metadata address redirected to us, and where did that fail? */
import type { Cancel, Clock, Count, Milliseconds } from '../../lib/clock.ts'
import { causeText } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { Attachment } from '../attachment.ts'
import { Backoff } from '../backoff.ts'
import { namespaceKeyOf, openNamespace, type NamespaceKey } from '../netns/namespace-handle.ts'
import { findNftPrograms, loadRuleset, type NftPrograms } from './nft.ts'
import { interceptionRuleset, removalRuleset } from './ruleset.ts'

/** How far the rules of one namespace are. */
export type InterceptionState = 'applying' | 'applied' | 'failed'

export interface InterceptionOptions {
  readonly interface: string
  readonly tcpPort: number
  /** Runs of `nft` at the same time. */
  readonly parallel: Count
  readonly timeout: Milliseconds
  readonly clock: Clock
  readonly logger: Logger
  readonly onFailure: () => void
}

interface Entry {
  readonly attachment: Attachment
  readonly backoff: Backoff
  state: InterceptionState
  why: string | undefined
  cancelRetry: Cancel | undefined
}

const firstPause: Milliseconds = 500
const longestPause: Milliseconds = 60_000

/** Loads our rules where they are wanted, some at a time, and tries again where it failed. */
export class Interception {
  readonly #options: InterceptionOptions
  readonly #entries = new Map<NamespaceKey, Entry>()
  readonly #running = new Set<Promise<void>>()
  /** A namespace given up and wanted again must not lose its new rules to the late removal of the old. */
  readonly #unloading = new Map<NamespaceKey, Promise<void>>()
  readonly #abort = new AbortController()
  #due: Entry[] = []
  #programs: NftPrograms | undefined

  constructor(options: InterceptionOptions) {
    this.#options = options
  }

  /** Begins to load the rules of a namespace. */
  add(attachment: Attachment): void {
    this.#forget(attachment.key)
    const entry: Entry = {
      attachment,
      backoff: new Backoff(firstPause, longestPause),
      state: 'applying',
      why: undefined,
      cancelRetry: undefined,
    }
    this.#entries.set(attachment.key, entry)
    this.#due.push(entry)
    this.#pump()
  }

  #forget(key: NamespaceKey): void {
    this.#entries.get(key)?.cancelRetry?.()
    this.#entries.delete(key)
  }

  /** The namespace is not ours any more. When it is gone, its rules went with it. */
  remove(attachment: Attachment): void {
    if (!this.#entries.has(attachment.key)) return
    this.#forget(attachment.key)
    const run = this.#unload(attachment)
    this.#unloading.set(attachment.key, run)
    this.#start(run.finally(() => this.#unloading.delete(attachment.key)))
  }

  stateOf(
    key: NamespaceKey,
  ): { readonly state: InterceptionState; readonly why?: string } | undefined {
    const entry = this.#entries.get(key)
    return entry && { state: entry.state, ...(entry.why !== undefined && { why: entry.why }) }
  }

  count(state: InterceptionState): Count {
    return [...this.#entries.values()].filter((entry) => entry.state === state).length
  }

  #pump(): void {
    while (this.#running.size < this.#options.parallel && !this.#abort.signal.aborted) {
      const entry = this.#due.shift()
      if (entry === undefined) return
      if (this.#entries.get(entry.attachment.key) === entry) this.#start(this.#load(entry))
    }
  }

  #start(run: Promise<void>): void {
    this.#running.add(run)
    void run.finally(() => {
      this.#running.delete(run)
      this.#pump()
    })
  }

  async #load(entry: Entry): Promise<void> {
    const { interface: onInterface, tcpPort, logger, onFailure, clock } = this.#options
    const { attachment } = entry
    const ruleset = (families: readonly ('ip' | 'ip6')[]): string =>
      interceptionRuleset({ interface: onInterface, tcpPort, families })
    await this.#unloading.get(attachment.key)
    try {
      try {
        await this.#run(attachment, ruleset(['ip', 'ip6']))
      } catch (cause) {
        // A kernel without IPv6 refuses the whole transaction.
        await this.#run(attachment, ruleset(['ip']))
        logger.warn(
          { netns: attachment.netns, cause: causeText(cause) },
          'Only IPv4 is redirected in this namespace',
        )
      }
      entry.state = 'applied'
      entry.why = undefined
      entry.backoff.reset()
    } catch (cause) {
      if (this.#abort.signal.aborted || this.#entries.get(attachment.key) !== entry) return
      const why = causeText(cause)
      if (why !== entry.why) {
        logger.error({ netns: attachment.netns, cause: why }, 'Cannot redirect metadata requests')
      }
      entry.state = 'failed'
      entry.why = why
      onFailure()
      entry.cancelRetry = clock.schedule(entry.backoff.next(), () => {
        this.#due.push(entry)
        this.#pump()
      })
    }
  }

  async #run(attachment: Attachment, ruleset: string): Promise<void> {
    this.#programs ??= findNftPrograms()
    const handle = openNamespace(attachment.path)
    try {
      if (handle.key !== attachment.key) throw new Error('the name stands for another namespace')
      const limit = AbortSignal.timeout(this.#options.timeout)
      const signal = AbortSignal.any([limit, this.#abort.signal])
      await loadRuleset(this.#programs, handle, ruleset, signal)
    } finally {
      handle.close()
    }
  }

  async #unload(attachment: Attachment): Promise<void> {
    try {
      await this.#run(attachment, removalRuleset())
    } catch (cause) {
      if (!isStillThere(attachment)) return
      const fields = { netns: attachment.netns, cause: causeText(cause) }
      this.#options.logger.warn(fields, 'Cannot remove our rules')
    }
  }

  /** Ends what runs, and takes our rules out of every namespace unless they are to stay. */
  async close(removeRules: boolean): Promise<void> {
    const entries = [...this.#entries.values()]
    for (const entry of entries) this.#forget(entry.attachment.key)
    this.#due = []
    await Promise.all(this.#running)
    if (removeRules) {
      const next = entries.values()
      const work = async (): Promise<void> => {
        for (const { attachment } of next) await this.#unload(attachment)
      }
      await Promise.all(Array.from({ length: this.#options.parallel }, work))
    }
    this.#abort.abort()
  }
}

function isStillThere({ path, key }: Attachment): boolean {
  try {
    return namespaceKeyOf(path) === key
  } catch {
    return false
  }
}
