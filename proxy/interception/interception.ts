/** In which routers are packets to the metadata address redirected to us, and where did that fail? */
import type { Cancel, Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { CauseLog } from '../../lib/observe/cause-log.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { Attachment } from '../namespaces/plan-attachments.ts'
import { Backoff, jittered } from '../../lib/runtime/backoff.ts'
import { namespaceKeyOf, type NamespaceKey } from '../netns/namespace-handle.ts'
import type { RuleLoader } from './rule-loader.ts'
import { SlicedQueue } from '../../lib/runtime/sliced-queue.ts'
import type { ChangeAuthor } from '../netlink/table-events.ts'
import { RuleRemovals, type Removals } from './rule-removals.ts'
import { RuleWatch } from './rule-watch.ts'
import { interceptionRuleset, ruleCountOf } from './ruleset.ts'

/** How far the rules of one namespace are. */
export type InterceptionState = 'applying' | 'applied' | 'failed'

export interface InterceptionOptions {
  readonly interface: string
  readonly tcpPort: number
  readonly loader: RuleLoader
  /** Whether a canary connects from inside. */
  readonly canary?: boolean
  /** How often rules are looked for that others may have removed. */
  readonly checkEvery: Milliseconds
  readonly clock: Clock
  readonly logger: Logger
  readonly onFailure: () => void
}

interface InterceptedNamespace {
  attachment: Attachment
  readonly backoff: Backoff
  state: InterceptionState
  why: string | undefined
  /** How many rules were loaded. */
  rules: Count
  cancelRetry: Cancel | undefined
}

/** Rules that were loaded or not; a part of them when the kernel refused IPv6. */
interface Loaded {
  readonly rules: Count
  readonly failure?: string
  readonly withoutIpv6?: string
}

/** The rules of one namespace, when something is, or was lately, wrong with them. */
export interface TroubledRules {
  readonly netns: string
  readonly state: InterceptionState
  readonly why: string | undefined
  readonly removals: Removals
}

const firstPause: Milliseconds = 500
const longestPause: Milliseconds = 60_000
/** Closing what loads left behind waits for the kernel, so it is done for many at once. */
const releaseAfter: Milliseconds = 200

/** Loads our rules where they are wanted, tries again where it failed, and restores what others removed. */
export class Interception {
  readonly #options: InterceptionOptions
  readonly #entries = new Map<NamespaceKey, InterceptedNamespace>()
  /** What is to be done next in a namespace. Something newer replaces what was not yet begun. */
  readonly #due = new Map<NamespaceKey, () => void>()
  readonly #queue: SlicedQueue<NamespaceKey>
  readonly #watch: RuleWatch
  readonly #removals: RuleRemovals
  readonly #failures: CauseLog
  /** What became of loads inside a visit, until the visit is over and they can be logged. */
  readonly #loadedInside = new Map<NamespaceKey, Loaded>()
  #cancelCheck: Cancel | undefined
  #cancelRelease: Cancel | undefined

  constructor(options: InterceptionOptions) {
    this.#options = options
    this.#queue = new SlicedQueue({
      clock: options.clock,
      visit: (key) => {
        const work = this.#due.get(key)
        this.#due.delete(key)
        work?.()
      },
    })
    const { loader, clock, logger } = options
    this.#removals = new RuleRemovals(clock)
    this.#failures = new CauseLog(logger, clock, 'error', 'Cannot redirect metadata requests')
    this.#watch = new RuleWatch({
      open: (target) => loader.events(target),
      clock,
      logger,
      onChange: (key, { by }) => this.#checkSoon(key, by),
    })
  }

  /** Begins to look after the rules; those of a namespace come with {@link add}. */
  start(): void {
    const { loader, logger } = this.#options
    try {
      loader.prepare(this.#ruleset(['ip', 'ip6']))
    } catch (cause) {
      logger.info({ cause: causeText(cause) }, 'Rules are read anew for each namespace')
    }
    this.#scheduleCheck()
    this.#watch.start()
  }

  /**
   * Loads the rules while the caller is inside the namespace, before its port accepts: then there is no moment in which the port
   * can be reached directly. System calls only; what is to be logged is logged by {@link add}, which has to follow.
   */
  loadInside(attachment: Attachment): void {
    const { loader } = this.#options
    // A namespace given up and wanted again must not lose its new rules to the late removal of the old.
    this.#due.delete(attachment.key)
    this.#loadedInside.set(
      attachment.key,
      this.#tryFamilies((ruleset) => loader.loadInside(ruleset)),
    )
  }

  #tryFamilies(load: (ruleset: string) => void): Loaded {
    const both = this.#ruleset(['ip', 'ip6'])
    try {
      load(both)
      return { rules: ruleCountOf(both) }
    } catch (cause) {
      // A kernel without IPv6 refuses the whole transaction.
      const ipv4 = this.#ruleset(['ip'])
      try {
        load(ipv4)
        return { rules: ruleCountOf(ipv4), withoutIpv6: causeText(cause) }
      } catch (failure) {
        return { rules: 0, failure: causeText(failure) }
      }
    }
  }

  /** Begins to load the rules of a namespace, or takes note of those that {@link loadInside} has loaded. */
  add(attachment: Attachment): void {
    this.#forget(attachment.key)
    const entry: InterceptedNamespace = {
      attachment,
      backoff: new Backoff(firstPause, longestPause),
      state: 'applying',
      why: undefined,
      rules: 0,
      cancelRetry: undefined,
    }
    this.#entries.set(attachment.key, entry)
    const loaded = this.#loadedInside.get(attachment.key)
    this.#loadedInside.delete(attachment.key)
    if (loaded === undefined) this.#enqueue(attachment.key, () => this.#load(entry))
    else this.#settle(entry, loaded)
  }

  /** The namespace is served as before, under another name or path. */
  rename(attachment: Attachment): void {
    const entry = this.#entries.get(attachment.key)
    if (entry !== undefined) entry.attachment = attachment
  }

  #forget(key: NamespaceKey): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    entry.cancelRetry?.()
    this.#watch.remove(key)
    this.#removals.forget(key)
    this.#entries.delete(key)
    this.#due.delete(key)
  }

  /** The namespace is not ours any more. When it is gone, its rules went with it. */
  remove(attachment: Attachment): void {
    const wasLoaded = this.#loadedInside.delete(attachment.key)
    if (!this.#entries.has(attachment.key) && !wasLoaded) return
    this.#forget(attachment.key)
    this.#enqueue(attachment.key, () => this.#unload(attachment))
  }

  stateOf(
    key: NamespaceKey,
  ): { readonly state: InterceptionState; readonly why?: string } | undefined {
    const entry = this.#entries.get(key)
    return entry && { state: entry.state, ...(entry.why !== undefined && { why: entry.why }) }
  }

  /**
   * How many rules our table has and should have, by the kernel.
   * @returns `undefined` where nothing is loaded
   * @throws Error when the namespace cannot be entered
   */
  rulesNow(key: NamespaceKey): { readonly expected: Count; readonly found: Count } | undefined {
    const entry = this.#entries.get(key)
    if (entry?.state !== 'applied') return undefined
    return {
      expected: entry.rules,
      found: this.#options.loader.count(entry.attachment),
    }
  }

  /** Those that are not as they should be, or were not lately. Loading takes a moment, and is no trouble. */
  troubled(): readonly TroubledRules[] {
    return [...this.#entries].flatMap(([key, { attachment, state, why }]) => {
      const removals = this.#removals.of(key)
      if (state !== 'failed' && why === undefined && removals.count === 0) return []
      return [{ netns: attachment.netns, state, why, removals }]
    })
  }

  count(state: InterceptionState): Count {
    let count = 0
    for (const entry of this.#entries.values()) if (entry.state === state) count += 1
    return count
  }

  #enqueue(key: NamespaceKey, work: () => void): void {
    this.#due.set(key, work)
    this.#queue.add(key)
  }

  #ruleset(families: readonly ('ip' | 'ip6')[]): string {
    const { interface: onInterface, tcpPort, canary = false } = this.#options
    return interceptionRuleset({ interface: onInterface, tcpPort, families, canary })
  }

  #load(entry: InterceptedNamespace): void {
    const { loader } = this.#options
    this.#settle(
      entry,
      this.#tryFamilies((ruleset) => loader.load(entry.attachment, ruleset)),
    )
  }

  #settle(entry: InterceptedNamespace, { rules, failure, withoutIpv6 }: Loaded): void {
    const { logger, onFailure } = this.#options
    const { netns } = entry.attachment
    this.#releaseSoon()
    if (failure !== undefined) {
      if (failure !== entry.why) this.#failures.note(netns, failure)
      entry.state = 'failed'
      entry.why = failure
      onFailure()
      this.#retry(entry)
      return
    }
    entry.state = 'applied'
    this.#watch.add(entry.attachment)
    // Known, without a query: closing a socket right after a load waits until the kernel has freed what was replaced.
    entry.rules = rules
    if (withoutIpv6 === undefined) {
      entry.why = undefined
      entry.backoff.reset()
      return
    }
    const why = `only IPv4 is redirected: ${withoutIpv6}`
    if (why !== entry.why) {
      logger.warn({ netns, cause: withoutIpv6 }, 'Only IPv4 is redirected in this namespace')
    }
    entry.why = why
    this.#retry(entry)
  }

  #retry(entry: InterceptedNamespace): void {
    entry.cancelRetry?.()
    entry.cancelRetry = this.#options.clock.schedule(entry.backoff.next(), () => {
      this.#enqueue(entry.attachment.key, () => this.#load(entry))
    })
  }

  #releaseSoon(): void {
    this.#cancelRelease ??= this.#options.clock.schedule(releaseAfter, () => {
      this.#cancelRelease = undefined
      this.#options.loader.release()
    })
  }

  /** Others may flush a whole ruleset: a reloaded firewall, an operator. */
  #scheduleCheck(): void {
    const { clock, checkEvery } = this.#options
    this.#cancelCheck = clock.schedule(jittered(checkEvery), () => {
      for (const key of this.#entries.keys()) this.#checkSoon(key)
      this.#scheduleCheck()
    })
  }

  /** @param by who has changed rules there, where that is known */
  #checkSoon(key: NamespaceKey, by?: ChangeAuthor): void {
    const entry = this.#entries.get(key)
    if (entry?.state !== 'applied' || this.#due.has(key)) return
    this.#enqueue(key, () => {
      if (this.#isDisturbed(entry, by)) this.#load(entry)
    })
  }

  #isDisturbed(entry: InterceptedNamespace, by: ChangeAuthor | undefined): boolean {
    const { loader, logger } = this.#options
    const { attachment, rules } = entry
    let now: Count
    try {
      now = loader.count(attachment)
    } catch {
      // A namespace that is going away is reported elsewhere.
      return false
    }
    if (now === rules) return false
    const author = this.#removals.note(attachment.key, by)
    logger.warn(
      { netns: attachment.netns, expected: rules, found: now, ...(author && { by: author }) },
      'Our rules were changed by another program, loading them again',
    )
    return true
  }

  #unload(attachment: Attachment): void {
    try {
      this.#options.loader.remove(attachment)
      this.#releaseSoon()
    } catch (cause) {
      if (!isStillThere(attachment)) return
      const fields = { netns: attachment.netns, cause: causeText(cause) }
      this.#options.logger.warn(fields, 'Cannot remove our rules')
    }
  }

  /** Ends what runs, and takes our rules out of every namespace unless they are to stay. */
  async close(removeRules: boolean): Promise<void> {
    const entries = [...this.#entries.values()]
    this.#cancelCheck?.()
    this.#watch.close()
    for (const { attachment } of entries) {
      this.#forget(attachment.key)
      if (removeRules) this.#enqueue(attachment.key, () => this.#unload(attachment))
    }
    await this.#queue.idle()
    this.#cancelRelease?.()
    this.#options.loader.release()
  }
}

function isStillThere({ path, key }: Attachment): boolean {
  try {
    return namespaceKeyOf(path) === key
  } catch {
    return false
  }
}
