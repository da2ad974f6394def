/** Which networks have what they need on this host, and who brings it about? The supervisor's side, which makes system calls. */
import { join } from 'node:path'
import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { NetworkId } from '../../lib/identity/ids.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { Backoff, jittered } from '../../lib/runtime/backoff.ts'
import { scanNamespaces, type FoundNamespace } from '../netns/discover.ts'
import { deleteNamedNamespace } from '../netns/named-namespace.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import {
  cutCables,
  provisionNetwork,
  removeNetwork,
  UnmountedNameError,
  type WorkPlace,
} from './namespace-work.ts'
import { SlicedQueue } from '../../lib/runtime/sliced-queue.ts'
import { netnsOfNetwork, networkOfNetns, type NetworkPlan } from './shared/network-plan.ts'

/** `pending` until it was tried, `done` when guests can be served over IPv4 at least. */
export type ProvisionState = 'pending' | 'done' | 'failed'

/** A network that is not as it should be, for people. */
export interface ProvisionTrouble {
  readonly netns: string
  readonly state: ProvisionState
  readonly why: string
}

export interface ProvisionerOptions {
  readonly place: WorkPlace
  readonly hostHasIpv6: boolean
  readonly clock: Clock
  readonly logger: Logger
  /** How often everything is looked at without a reported change. */
  readonly fullPass: Milliseconds
  /** The cables of these networks are there, or not any more. */
  readonly onCables: (networkIds: readonly NetworkId[], present: boolean) => void
  /** Something inside a namespace is another than before. */
  readonly onChanged: (key: NamespaceKey) => void
  /** How long one network took, from being wanted to being there. */
  readonly onProvisioned: (span: Milliseconds) => void
  readonly onFailure: () => void
}

interface ProvisionedNetwork {
  readonly networkId: NetworkId
  /** Absent: it is to be taken away. */
  plan: NetworkPlan | undefined
  state: ProvisionState
  why: string | undefined
  wantedAt: MonotonicMilliseconds | undefined
  key: NamespaceKey | undefined
  hasCable: boolean
  /** It was among many whose cables were taken at once. */
  isCut: boolean
  unmountedSince: MonotonicMilliseconds | undefined
  retriesDuplicates: boolean
  readonly backoff: Backoff
  cancelRetry: Cancel | undefined
}

const firstPause: Milliseconds = 100
const longestPause: Milliseconds = 30_000
/** Cables cut in one go; each takes a part of a millisecond before the wait that all share. */
const mostCut: Count = 64
/** A name without a mount is being made by another process, or was left behind: after so long it is the latter. */
const brokenAfter: Milliseconds = 2_000

/**
 * Brings namespaces, cables and addresses in step with the plans. It does nothing before the first complete plan, and takes nothing
 * away but what a complete plan does not hold.
 */
export class Provisioner {
  readonly #options: ProvisionerOptions
  readonly #entries = new Map<NetworkId, ProvisionedNetwork>()
  readonly #queue: SlicedQueue<ProvisionedNetwork>
  #made: NetworkId[] = []
  #gone: NetworkId[] = []
  /** Names without a mount that were so at the last look too. */
  #unmounted: ReadonlySet<string> = new Set()
  /** Namespaces that could not be removed because of what others put into them, logged once. */
  readonly #kept = new Set<NetworkId>()
  #isComplete = false
  #cancelPass: Cancel | undefined
  #isClosed = false

  constructor(options: ProvisionerOptions) {
    this.#options = options
    this.#queue = new SlicedQueue({
      clock: options.clock,
      begin: () => this.#cutCables(),
      visit: (entry) => this.#visitNoting(entry),
      end: () => this.#reportCables(),
    })
  }

  start(): void {
    this.#schedulePass()
  }

  /** Stops, and leaves everything as it is: guests are served over it by whoever follows. */
  close(): void {
    this.#isClosed = true
    this.#cancelPass?.()
    for (const entry of this.#entries.values()) entry.cancelRetry?.()
    this.#queue.clear()
  }

  /** Everything that is wanted. */
  complete(plans: readonly NetworkPlan[]): void {
    const wanted = new Set(plans.map(({ networkId }) => networkId))
    const gone = [...this.#entries.keys()].filter((networkId) => !wanted.has(networkId))
    this.#isComplete = true
    this.change(plans, gone)
    this.#takeLeftovers()
  }

  /** What is wanted from now on beside the rest, or in another way, and what is not. */
  change(put: readonly NetworkPlan[], gone: readonly NetworkId[]): void {
    if (!this.#isComplete) return
    for (const plan of put) this.#want(plan.networkId, plan)
    for (const networkId of gone) this.#want(networkId, undefined)
  }

  /** What another look at the folder of namespaces found. */
  scanned(found: readonly FoundNamespace[]): void {
    if (!this.#isComplete) return
    const keys = new Map(found.map(({ netns, key }) => [netns, key]))
    for (const entry of this.#entries.values()) {
      if (entry.plan === undefined || entry.state !== 'done') continue
      if (keys.get(netnsOfNetwork(entry.networkId)) !== entry.key) this.#visitSoon(entry)
    }
  }

  /** Whether everything that is wanted was tried, after it was known. */
  get isSettled(): boolean {
    const entries = [...this.#entries.values()]
    return this.#isComplete && !entries.some(({ plan, state }) => plan && state === 'pending')
  }

  get hasPlan(): boolean {
    return this.#isComplete
  }

  /** What is to be removed is pending, too. */
  count(state: ProvisionState): Count {
    let count = 0
    for (const entry of this.#entries.values()) {
      const isMeant = entry.plan !== undefined || state === 'pending'
      if (isMeant && entry.state === state) count += 1
    }
    return count
  }

  troubles(): ProvisionTrouble[] {
    return [...this.#entries.values()].flatMap(({ networkId, state, why }) =>
      why === undefined ? [] : [{ netns: netnsOfNetwork(networkId), state, why }],
    )
  }

  /** Networks whose cables are there. */
  cables(): NetworkId[] {
    return [...this.#entries.values()].flatMap(({ networkId, hasCable }) =>
      hasCable ? [networkId] : [],
    )
  }

  #want(networkId: NetworkId, plan: NetworkPlan | undefined): void {
    const known = this.#entries.get(networkId)
    const entry = known ?? {
      networkId,
      plan,
      state: 'pending',
      why: undefined,
      wantedAt: undefined,
      key: undefined,
      hasCable: false,
      isCut: false,
      unmountedSince: undefined,
      retriesDuplicates: false,
      backoff: new Backoff(firstPause, longestPause),
      cancelRetry: undefined,
    }
    this.#entries.set(networkId, entry)
    if (entry.state === 'done' && (plan === undefined) !== (entry.plan === undefined)) {
      entry.state = 'pending'
    }
    entry.plan = plan
    entry.wantedAt ??= this.#options.clock.now()
    this.#visitSoon(entry)
  }

  #visitSoon(entry: ProvisionedNetwork): void {
    if (this.#isClosed) return
    entry.cancelRetry?.()
    entry.cancelRetry = undefined
    this.#queue.add(entry)
  }

  #visitNoting(entry: ProvisionedNetwork): void {
    const hadCable = entry.hasCable
    this.#visit(entry)
    if (entry.hasCable && !hadCable) this.#made.push(entry.networkId)
    if (entry.plan === undefined && !entry.hasCable) this.#gone.push(entry.networkId)
  }

  #reportCables(): void {
    const { onCables } = this.#options
    if (this.#made.length > 0) onCables(this.#made, true)
    if (this.#gone.length > 0) onCables(this.#gone, false)
    this.#made = []
    this.#gone = []
  }

  /** What many are to lose is taken at once; each of them is visited afterwards. */
  #cutCables(): void {
    const leaving = [...this.#queue.due].filter(({ plan, isCut }) => plan === undefined && !isCut)
    if (leaving.length < 2) return
    const batch = leaving.slice(0, mostCut)
    for (const entry of batch) entry.isCut = true
    try {
      cutCables(
        this.#options.place,
        batch.map(({ networkId }) => networkId),
      )
    } catch (cause) {
      // Each visit tries by itself, and logs.
      this.#options.logger.debug({ cause: causeText(cause) }, 'Cannot cut many cables at once')
    }
  }

  #visit(entry: ProvisionedNetwork): void {
    const { clock, onFailure } = this.#options
    try {
      if (entry.plan === undefined) this.#remove(entry)
      else this.#provision(entry, entry.plan)
      entry.unmountedSince = undefined
      entry.backoff.reset()
    } catch (cause) {
      if (cause instanceof UnmountedNameError && this.#removeBroken(entry)) return
      entry.state = 'failed'
      onFailure()
      this.#log(entry, causeText(cause))
      entry.cancelRetry = clock.schedule(entry.backoff.next(), () => this.#visitSoon(entry))
    }
  }

  #provision(entry: ProvisionedNetwork, plan: NetworkPlan): void {
    const { place, hostHasIpv6, clock, logger, onChanged, onProvisioned } = this.#options
    const { retriesDuplicates } = entry
    const before = entry.key
    const done = provisionNetwork(place, plan, { hostHasIpv6, retriesDuplicates })
    entry.retriesDuplicates = false
    entry.key = done.key
    entry.hasCable = true
    entry.isCut = false
    entry.state = 'done'
    if (done.isChanged) {
      onChanged(done.key)
      const netns = netnsOfNetwork(entry.networkId)
      if (before === done.key) logger.debug({ netns }, 'Metadata namespace is changed')
      else logger.info({ netns }, 'Metadata namespace is provisioned')
    }
    if (done.trouble !== undefined || !done.isDetecting) this.#log(entry, done.trouble)
    if (entry.wantedAt !== undefined) onProvisioned(clock.now() - entry.wantedAt)
    entry.wantedAt = undefined
  }

  #remove(entry: ProvisionedNetwork): void {
    const { place, logger } = this.#options
    const left = removeNetwork(place, entry.networkId)
    const netns = netnsOfNetwork(entry.networkId)
    entry.hasCable = false
    this.#entries.delete(entry.networkId)
    if (left.length === 0) logger.info({ netns }, 'Metadata namespace is removed')
    else if (!this.#kept.has(entry.networkId)) {
      this.#kept.add(entry.networkId)
      logger.warn({ netns, interfaces: left.slice(0, 10) }, 'Namespace of others is left alone')
    }
  }

  /** @returns true when it was, and another visit will follow */
  #removeBroken(entry: ProvisionedNetwork): boolean {
    const { clock, place } = this.#options
    entry.unmountedSince ??= clock.now()
    if (clock.now() - entry.unmountedSince < brokenAfter) return false
    entry.unmountedSince = undefined
    deleteNamedNamespace(join(place.folder, netnsOfNetwork(entry.networkId)))
    this.#visitSoon(entry)
    return true
  }

  /** The first time, and whenever it is something else. */
  #log(entry: ProvisionedNetwork, why: string | undefined): void {
    if (why === entry.why) return
    entry.why = why
    const netns = netnsOfNetwork(entry.networkId)
    if (why === undefined) this.#options.logger.info({ netns }, 'Metadata namespace recovered')
    else this.#options.logger.warn({ netns, why }, 'Cannot provision metadata namespace as wanted')
  }

  /** Namespaces of the agent's name that no network of this host needs: of a past run, or of an agent before us. */
  #takeLeftovers(): void {
    const { place, logger } = this.#options
    try {
      const { found, unmounted } = scanNamespaces(place.folder, [])
      const broken = unmounted.filter((netns) => this.#unmounted.has(netns))
      this.#unmounted = new Set(unmounted)
      for (const netns of [...found.map((one) => one.netns), ...broken]) {
        const networkId = networkOfNetns(netns)
        if (networkId !== undefined && !this.#entries.has(networkId)) {
          this.#want(networkId, undefined)
        }
      }
    } catch (cause) {
      logger.warn({ cause: causeText(cause) }, 'Cannot look for leftover metadata namespaces')
    }
  }

  #schedulePass(): void {
    const { clock, fullPass } = this.#options
    this.#cancelPass = clock.schedule(jittered(fullPass), () => {
      this.#pass()
      if (!this.#isClosed) this.#schedulePass()
    })
  }

  #pass(): void {
    if (!this.#isComplete) return
    for (const entry of this.#entries.values()) {
      entry.retriesDuplicates = true
      // What failed has a pause of its own.
      if (entry.state === 'done') this.#visitSoon(entry)
    }
    this.#takeLeftovers()
  }
}
