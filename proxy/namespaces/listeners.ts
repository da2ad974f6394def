/** Which listening sockets are open, for whom, and how are they? */
import { closeSync, fstatSync } from 'node:fs'
import type { Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { tcpAddressText } from '../../lib/identity/tcp-address.ts'
import { isLinkLocalIpv6 } from '../../lib/identity/ip-address.ts'
import { CauseLog } from '../../lib/observe/cause-log.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import type { Attachment } from './plan-attachments.ts'
import type { NamespaceKind } from './identity.ts'
import type { OpenedListener } from '../netns/listen-in.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import { listenFor, type ListeningOptions } from './listen-for.ts'
import {
  stateOf,
  statusOf,
  whyText,
  wantedNamespace,
  type WantedNamespace,
  type HeldSocket,
  type NamespaceHoldings,
  type NamespaceState,
  type NamespaceStatus,
  type OpenListener,
} from './listener-status.ts'
import { reconcile } from './reconcile.ts'
import { SlicedQueue } from '../../lib/runtime/sliced-queue.ts'
import { jittered } from '../../lib/runtime/backoff.ts'

/** Who accepts on the sockets: the pool of workers. */
export interface ListenerSink {
  add(listeners: readonly OpenListener[]): void
  remove(listenerIds: readonly number[]): void
}

export interface ListenersOptions extends ListeningOptions {
  readonly sink: ListenerSink
  readonly clock: Clock
  readonly logger: Logger
  /** Keeps sockets over a restart. It gets each before it is used, and before it is closed. */
  readonly store?: { add(fd: number): void; remove(fd: number): void } | undefined
  /** A namespace's listeners are open; what follows (interception) may begin. */
  readonly onOpened: (attachment: Attachment) => void
  /** Not wanted any more, whether it was ever open or not. */
  readonly onClosed: (attachment: Attachment) => void
  /** Open as before, under another name or path. */
  readonly onRenamed?: (attachment: Attachment) => void
  /** How long it took from being wanted to being accepted on. */
  readonly onServing: (span: Milliseconds) => void
}

/** Interfaces are replaced and addresses come late; this finds what no event reported. */
const lookAgain: Milliseconds = 60_000
/** Until a worker accepts. */
const longestOpening: Milliseconds = 10_000

/** Holds every listening socket of the host, by namespace, and keeps them in step with what is wanted. */
export class Listeners {
  readonly #options: ListenersOptions
  readonly #entries = new Map<NamespaceKey, WantedNamespace>()
  readonly #byListenerId = new Map<
    number,
    { readonly entry: WantedNamespace; readonly held: HeldSocket }
  >()
  readonly #queue: SlicedQueue<WantedNamespace>
  readonly #failures: CauseLog
  #opened: OpenListener[] = []
  #lastListenerId = 0
  #isClosed = false

  constructor(options: ListenersOptions) {
    this.#options = options
    const { logger, clock } = options
    this.#failures = new CauseLog(logger, clock, 'warn', 'Cannot listen in namespace as wanted')
    this.#queue = new SlicedQueue({
      clock: options.clock,
      visit: (entry) => {
        if (this.#entries.get(entry.attachment.key) === entry) this.#visit(entry)
      },
      end: () => {
        if (this.#opened.length > 0) options.sink.add(this.#opened)
        this.#opened = []
      },
    })
  }

  /** Closes what is no longer wanted at once, and begins to open what is new. */
  apply(desired: readonly Attachment[]): void {
    if (this.#isClosed) return
    const current = new Map([...this.#entries].map(([key, { attachment }]) => [key, attachment]))
    const changes = reconcile(desired, current)
    for (const key of changes.close) this.#drop(key)
    for (const attachment of changes.rename) {
      const entry = this.#entries.get(attachment.key)
      if (entry === undefined) continue
      entry.attachment = attachment
      if (entry.isOpened) this.#options.onRenamed?.(attachment)
    }
    for (const attachment of changes.open) this.#enter(attachment)
    this.#options.inherited?.closeOthers(new Set(this.#entries.keys()))
  }

  #enter(attachment: Attachment): void {
    const entry = wantedNamespace(attachment, this.#options.clock.now())
    this.#entries.set(attachment.key, entry)
    this.#queue.add(entry)
  }

  #visit(entry: WantedNamespace): void {
    let isAbsent = false
    try {
      const outcome = listenFor(this.#options, entry, (fd) => this.#close(fd))
      for (const fd of outcome.unwanted) this.#close(fd)
      this.#release(entry, outcome.gone)
      this.#opened.push(...outcome.opened.map((one) => this.#hold(entry, one)))
      entry.failures = outcome.failed
      const { absent, unreachable } = outcome
      entry.absent = [...absent, ...unreachable].map(tcpAddressText)
      isAbsent = entry.absent.length > 0
      entry.trouble = undefined
    } catch (cause) {
      entry.trouble = causeText(cause)
    }
    this.#noteOpened(entry)
    this.#logChange(entry)
    this.#scheduleVisit(entry, isAbsent)
  }

  #noteOpened(entry: WantedNamespace): void {
    if (entry.held.size === 0 || entry.isOpened) return
    entry.isOpened = true
    this.#options.onOpened(entry.attachment)
  }

  #hold({ attachment, held }: WantedNamespace, opened: OpenedListener): OpenListener {
    this.#lastListenerId += 1
    this.#options.store?.add(opened.fd)
    const { scope, flavour } = attachment.identity
    const listener: OpenListener = {
      description: {
        listenerId: this.#lastListenerId,
        scope,
        flavour,
        netns: attachment.netns,
        bound: opened.bound,
      },
      fd: opened.fd,
    }
    const one: HeldSocket = { listener, isListening: false }
    held.set(opened.bindingKey, one)
    const entry = this.#entries.get(attachment.key)
    if (entry) this.#byListenerId.set(listener.description.listenerId, { entry, held: one })
    return listener
  }

  #scheduleVisit(entry: WantedNamespace, isAbsent: boolean): void {
    const pause = this.#pauseBefore(entry, isAbsent)
    if (pause === undefined) return
    entry.cancelVisit = this.#options.clock.schedule(pause, () => this.#queue.add(entry))
  }

  #pauseBefore(entry: WantedNamespace, isAbsent: boolean): Milliseconds | undefined {
    const { attachment, backoff, failures, trouble } = entry
    if (failures.length > 0 || trouble !== undefined) return backoff.next()
    if (isAbsent && !backoff.isLongest) return backoff.next()
    const canChange = attachment.listen.some(({ address }) => isLinkLocalIpv6(address))
    return canChange ? jittered(lookAgain) : undefined
  }

  #logChange(entry: WantedNamespace): void {
    const why = whyText(entry)
    if (why === entry.loggedWhy) return
    entry.loggedWhy = why
    const { netns, identity } = entry.attachment
    const scope = scopeText(identity.scope)
    if (why === undefined) this.#options.logger.info({ netns, scope }, 'Namespace recovered')
    else this.#failures.note(netns, why)
  }

  /** A worker accepts on these. */
  markListening(listenerIds: readonly number[]): void {
    for (const listenerId of listenerIds) {
      const found = this.#byListenerId.get(listenerId)
      if (found === undefined) continue
      found.held.isListening = true
      delete found.held.refusal
      if (found.entry.isServing) continue
      found.entry.isServing = true
      this.#options.onServing(this.#options.clock.now() - found.entry.wantedAt)
    }
  }

  /** A worker could not. */
  markRefused(listenerId: number, cause: string): void {
    const found = this.#byListenerId.get(listenerId)
    if (found === undefined || found.held.isListening) return
    found.held.refusal = cause
    this.#logChange(found.entry)
  }

  /**
   * Takes sockets that another process opened in the namespace and that listen already. The caller has made sure that they
   * belong to it. One for an address that is open already is not taken.
   * @returns those that were not taken; they are the caller's to close
   */
  takeOver(key: NamespaceKey, opened: readonly OpenedListener[]): readonly OpenedListener[] {
    const entry = this.#entries.get(key)
    if (entry === undefined) return opened
    const taken = opened.filter(({ bindingKey }) => !entry.held.has(bindingKey))
    this.#options.sink.add(taken.map((one) => this.#hold(entry, one)))
    // What they failed for is held by now; the next visit finds what is still missing.
    entry.failures = []
    entry.cancelVisit?.()
    this.#queue.add(entry)
    this.#noteOpened(entry)
    return opened.filter((one) => !taken.includes(one))
  }

  /** Closes sockets of {@link takeOver} again: whoever opened them goes on serving. */
  giveBack(key: NamespaceKey, opened: readonly OpenedListener[]): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    const ours = opened.filter(
      ({ bindingKey, fd }) => entry.held.get(bindingKey)?.listener.fd === fd,
    )
    this.#release(
      entry,
      ours.map(({ bindingKey }) => bindingKey),
    )
    this.#scheduleVisit(entry, false)
  }

  /** Retries at once what failed, for a caller that knows of a change. */
  retry(key: NamespaceKey): void {
    const entry = this.#entries.get(key)
    if (entry === undefined || this.#queue.due.has(entry)) return
    if (entry.failures.length === 0 && entry.trouble === undefined) return
    entry.cancelVisit?.()
    entry.failures = []
    entry.trouble = undefined
    this.#queue.add(entry)
  }

  /** Looks again soon: addresses inside are others than before. */
  lookAgain(key: NamespaceKey): void {
    const entry = this.#entries.get(key)
    if (entry === undefined || this.#queue.due.has(entry)) return
    entry.cancelVisit?.()
    entry.backoff.reset()
    this.#queue.add(entry)
  }

  status(): NamespaceStatus[] {
    return [...this.#entries.values()].map(statusOf)
  }

  /** Those that are not as they should be, and how many there are in all. Opening one takes a moment, and is no trouble. */
  troubled(): { readonly all: Count; readonly troubled: readonly NamespaceStatus[] } {
    const since = this.#options.clock.now() - longestOpening
    const troubled = [...this.#entries.values()].filter((entry) => {
      const isOpening = stateOf(entry) === 'opening' && entry.wantedAt >= since
      if (isOpening && entry.trouble === undefined) return false
      return stateOf(entry) !== 'serving' || entry.absent.length > 0 || whyText(entry) !== undefined
    })
    return { all: this.#entries.size, troubled: troubled.map(statusOf) }
  }

  /** @returns `undefined` for a namespace that is not wanted */
  statusOf(key: NamespaceKey): NamespaceStatus | undefined {
    const entry = this.#entries.get(key)
    return entry && statusOf(entry)
  }

  /** What is served, with the binding keys of its open listeners. */
  served(): { readonly attachment: Attachment; readonly bindingKeys: readonly string[] }[] {
    return [...this.#entries.values()]
      .filter((entry) => stateOf(entry) === 'serving')
      .map(({ attachment, held }) => ({ attachment, bindingKeys: [...held.keys()] }))
  }

  /** Everything that is wanted and what is held of it, for an audit. The descriptors stay ours. */
  holdings(): NamespaceHoldings[] {
    return [...this.#entries.values()].map((entry) => ({
      attachment: entry.attachment,
      status: statusOf(entry),
      fds: [...entry.held.values()].map(({ listener }) => listener.fd),
    }))
  }

  /** Counts by kind and state, for metrics; cheaper than {@link status}. */
  count(visit: (kind: NamespaceKind, state: NamespaceState, listeners: Count) => void): void {
    for (const entry of this.#entries.values()) {
      visit(entry.attachment.identity.kind, stateOf(entry), entry.held.size)
    }
  }

  #drop(key: NamespaceKey): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    entry.cancelVisit?.()
    this.#release(entry, [...entry.held.keys()])
    this.#options.onClosed(entry.attachment)
  }

  /** Workers get the order first, so that none is given a descriptor that means something else by then. */
  #release({ held }: WantedNamespace, bindingKeys: readonly string[]): void {
    const listeners = bindingKeys.flatMap((bindingKey) => held.get(bindingKey)?.listener ?? [])
    if (listeners.length === 0) return
    const ids = listeners.map(({ description }) => description.listenerId)
    // At the end they get the order to drain, which lets a guest send one more request on a connection that it keeps.
    if (!this.#isClosed) this.#options.sink.remove(ids)
    for (const { fd } of listeners) this.#close(fd)
    for (const id of ids) this.#byListenerId.delete(id)
    for (const bindingKey of bindingKeys) held.delete(bindingKey)
  }

  #close(fd: number): void {
    if (!this.#isClosed) this.#options.store?.remove(fd)
    closeSync(fd)
  }

  /** Inodes of every socket that is open now, as `/proc` writes them. */
  inodes(): ReadonlySet<string> {
    const held = [...this.#byListenerId.values()]
    return new Set(held.map((one) => String(fstatSync(one.held.listener.fd).ino)))
  }

  /** Closes every socket here, not in the store; may be called twice. */
  close(): void {
    this.#isClosed = true
    for (const key of this.#entries.keys()) this.#drop(key)
    this.#options.inherited?.closeOthers(new Set())
  }
}
