/**
 * How much does each guest make this worker hold, and who gives way when there is no room? One account for each connection, source
 * (an address, and a MAC), namespace, and one for the process. Whoever holds most gives way to whoever holds little.
 */
import type { Bytes, Clock, Count } from '../../../lib/runtime/clock.ts'
import {
  forgetSource,
  greediestSource,
  NamespaceAccount,
  oldestOf,
  sourceOf,
  type CountedConnection,
  type Holder,
  type Shortage,
  type SourceAccount,
} from './accounts.ts'
import type { Turn, TurnRules } from './source-turns.ts'

/** What an open connection costs beyond what it holds: the objects of its socket and its reader, and a small head. */
const connectionCost: Bytes = 8 * 1024

/** Budgets. The cost of open connections counts in those of source, namespace and process. */
export interface LedgerLimits {
  readonly connectionBytes: Bytes
  readonly sourceBytes: Bytes
  readonly namespaceBytes: Bytes
  readonly processBytes: Bytes
  /** Open at once in one namespace. */
  readonly connectionsPerNamespace: Count
  /** Requests of one source that are served at once, at most. More wait for their turn. */
  readonly requestsPerSource: Count
}

/** For one worker. An answer of 1 MiB is held whole, so that the agent need not wait for the guest. */
export const workerBudgets = {
  connectionBytes: 2 * 1024 * 1024,
  sourceBytes: 8 * 1024 * 1024,
  namespaceBytes: 24 * 1024 * 1024,
  processBytes: 96 * 1024 * 1024,
} as const satisfies Partial<LedgerLimits>

/** The accounts of one worker. */
export class Ledger {
  readonly limits: LedgerLimits
  readonly #turnRules: TurnRules
  readonly #namespaces = new Map<string, NamespaceAccount>()
  /** Connections whose answers wait in the agent, oldest first. */
  readonly #stalled = new Set<CountedConnection>()
  #bytes: Bytes = 0

  constructor(limits: LedgerLimits, clock: Clock) {
    this.limits = limits
    this.#turnRules = { clock, limit: limits.requestsPerSource }
  }

  /** All that is held, open connections included. */
  get bytes(): Bytes {
    return this.#bytes
  }

  /** @param scope as `scopeText` writes it */
  namespace(scope: string): NamespaceAccount {
    const known = this.#namespaces.get(scope)
    if (known !== undefined) return known
    const made = new NamespaceAccount(scope, this.#turnRules)
    this.#namespaces.set(scope, made)
    return made
  }

  /** Forgets an account on which nothing counts and nothing will. */
  forget(namespace: NamespaceAccount): void {
    if (namespace.connections > 0 || namespace.listeners > 0) return
    if (this.#namespaces.get(namespace.scope) === namespace) {
      this.#namespaces.delete(namespace.scope)
    }
  }

  /**
   * Counts a new connection. Where there is no room, an idle or the oldest connection of the greediest source gives way.
   * @param address of the guest
   * @param mac of the guest, where known: one guest with many addresses is one source
   * @returns what is full, when the newcomer's own source is the greediest and has nothing idle
   */
  open(
    namespace: NamespaceAccount,
    address: string,
    mac: string | undefined,
    holder: Holder,
  ): Holding | Shortage {
    const byAddress = sourceOf(namespace, address)
    const byMac = mac === undefined ? undefined : sourceOf(namespace, mac)
    const holding = new Holding(this, namespace, byAddress, byMac, holder)
    const shortage = this.#makeRoom(holding, connectionCost, true)
    if (shortage !== undefined) {
      forgetSource(byAddress)
      if (byMac !== undefined) forgetSource(byMac)
      return shortage
    }
    // Whoever gave way may have been the last of these.
    this.#namespaces.set(namespace.scope, namespace)
    namespace.connections += 1
    for (const source of [byAddress, byMac]) {
      if (source === undefined) continue
      namespace.sources.set(source.key, source)
      source.holdings.add(holding)
    }
    this.add(holding, connectionCost)
    return holding
  }

  /** Undoes {@link Ledger.open} and all that was held. */
  close(holding: Holding): void {
    const { namespace, byAddress, byMac } = holding
    if (!byAddress.holdings.delete(holding)) return
    byMac?.holdings.delete(holding)
    this.#stalled.delete(holding)
    holding.leave()
    this.add(holding, -holding.bytes - connectionCost)
    namespace.connections -= 1
    forgetSource(byAddress)
    if (byMac !== undefined) forgetSource(byMac)
    this.forget(namespace)
  }

  /** Makes room for more. @returns false when there is none, and none holds more than the caller */
  hasRoom(holding: Holding, bytes: Bytes): boolean {
    return this.#makeRoom(holding, bytes, false) === undefined
  }

  add(holding: Holding, bytes: Bytes): void {
    this.#bytes += bytes
    holding.namespace.bytes += bytes
    holding.byAddress.bytes += bytes
    if (holding.byMac !== undefined) holding.byMac.bytes += bytes
  }

  /** The rest of the connection's answer waits in the agent until the guest reads. */
  stalls(holding: Holding): void {
    this.#stalled.add(holding)
  }

  moves(holding: Holding): void {
    this.#stalled.delete(holding)
  }

  /** A request waits for a connection to the agent: no answer may hold one because its guest does not read. */
  endStalled(): void {
    for (const holding of this.#stalled) this.#end(holding, 'agent')
  }

  #end(held: CountedConnection, shortage: Shortage): void {
    try {
      held.holder.giveWay(shortage)
    } finally {
      held.close()
    }
  }

  #makeRoom(caller: Holding, bytes: Bytes, isNew: boolean): Shortage | undefined {
    const { namespace } = caller
    const { limits } = this
    const isFull = (): Shortage | undefined => {
      if (isNew && namespace.connections >= limits.connectionsPerNamespace) return 'namespace'
      if (namespace.bytes + bytes > limits.namespaceBytes) return 'namespace'
      return this.#bytes + bytes > limits.processBytes ? 'process' : undefined
    }
    if (weightOf(caller) + bytes > limits.sourceBytes) {
      if (!isNew || !this.#endIdle(caller, 'source')) return 'source'
    }
    for (let full = isFull(); full !== undefined; full = isFull()) {
      const greediest = full === 'namespace' ? namespace : this.#greediestNamespace()
      const source = greediest && greediestSource(greediest)
      if (source === undefined) return full
      const isOwn = source === caller.byAddress || source === caller.byMac
      const isGreedier = source.bytes - bytes >= weightOf(caller)
      if (!isOwn && (greediest !== namespace || isGreedier)) {
        const oldest = oldestOf(source)
        if (oldest === undefined) return full
        this.#end(oldest, full)
      } else if (!isNew || !this.#endIdle(caller, full)) {
        return full
      }
    }
    return undefined
  }

  /** @returns false when nothing of the caller's own source is idle */
  #endIdle({ byAddress, byMac }: Holding, shortage: Shortage): boolean {
    const source = byMac !== undefined && byMac.bytes > byAddress.bytes ? byMac : byAddress
    const oldest = oldestOf(source)
    if (oldest === undefined || !oldest.holder.isIdle) return false
    this.#end(oldest, shortage)
    return true
  }

  #greediestNamespace(): NamespaceAccount | undefined {
    let found: NamespaceAccount | undefined
    for (const each of this.#namespaces.values()) {
      if (found === undefined || each.bytes > found.bytes) found = each
    }
    return found
  }
}

/** What one connection holds. */
export class Holding implements CountedConnection {
  readonly namespace: NamespaceAccount
  readonly byAddress: SourceAccount
  readonly byMac: SourceAccount | undefined
  readonly holder: Holder
  readonly #ledger: Ledger
  #input: Bytes = 0
  #body: Bytes = 0
  #answer: Bytes = 0
  #turn: Turn | undefined

  constructor(
    ledger: Ledger,
    namespace: NamespaceAccount,
    byAddress: SourceAccount,
    byMac: SourceAccount | undefined,
    holder: Holder,
  ) {
    this.#ledger = ledger
    this.namespace = namespace
    this.byAddress = byAddress
    this.byMac = byMac
    this.holder = holder
  }

  get isOpen(): boolean {
    return this.byAddress.holdings.has(this)
  }

  /** Beyond the cost of the connection itself. */
  get bytes(): Bytes {
    return this.#input + this.#body + this.#answer
  }

  /**
   * Counts how many bytes of its requests are held now: heads, and what was sent ahead.
   * @returns false when that is too much, and the connection has to stop holding them
   */
  holdInput(bytes: Bytes): boolean {
    const isWithin = this.#change(bytes - this.#input)
    if (this.isOpen) this.#input = bytes
    return isWithin
  }

  /** The same for the body of a request. */
  holdBody(bytes: Bytes): boolean {
    const isWithin = this.#change(bytes - this.#body)
    if (this.isOpen) this.#body = bytes
    return isWithin
  }

  /** The same for an answer that the guest has not taken yet. */
  holdAnswer(bytes: Bytes): boolean {
    const isWithin = this.#change(bytes - this.#answer)
    if (this.isOpen) this.#answer = bytes
    return isWithin
  }

  /** The rest of the answer waits in the agent. */
  stalls(): void {
    if (this.isOpen) this.#ledger.stalls(this)
  }

  /** It does not any more. */
  moves(): void {
    this.#ledger.moves(this)
  }

  /**
   * Requests a turn to have a request served.
   * @param turn called later, when it is not the source's turn now
   * @returns true when it is
   */
  enter(turn: Turn): boolean {
    this.leave()
    this.#turn = turn
    return this.#source.turns.enter(turn)
  }

  /** Gives the turn back, or the wish for one. */
  leave(): void {
    if (this.#turn === undefined) return
    this.#source.turns.leave(this.#turn)
    this.#turn = undefined
  }

  close(): void {
    this.#ledger.close(this)
  }

  get #source(): SourceAccount {
    return this.byMac ?? this.byAddress
  }

  /** What is held is held, so it counts in any case. */
  #change(more: Bytes): boolean {
    if (more === 0) return true
    if (!this.isOpen) return false
    const isWithin =
      more < 0 ||
      (this.bytes + more <= this.#ledger.limits.connectionBytes && this.#ledger.hasRoom(this, more))
    if (this.isOpen) this.#ledger.add(this, more)
    return isWithin
  }
}

/** A connection counts as much as the greedier of its two sources. */
function weightOf({ byAddress, byMac }: Holding): Bytes {
  return Math.max(byAddress.bytes, byMac?.bytes ?? 0)
}
