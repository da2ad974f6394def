/** On whose accounts does a connection count? */
import type { Bytes, Count } from '../../../lib/runtime/clock.ts'
import { SourceTurns, type TurnRules } from './source-turns.ts'

/** Why a connection ends for the sake of others. */
export type Shortage = 'source' | 'namespace' | 'process' | 'agent'

/** Whoever holds: a connection. */
export interface Holder {
  /** No request came, or all that came are answered. */
  readonly isIdle: boolean
  /** Ends now, and holds nothing from then on. */
  giveWay(shortage: Shortage): void
}

/** What one connection holds, as its sources see it. */
export interface CountedConnection {
  readonly holder: Holder
  /** Nothing of it counts any more. */
  close(): void
}

/** What one address or one MAC of a namespace makes us hold. */
export class SourceAccount {
  readonly key: string
  readonly namespace: NamespaceAccount
  readonly holdings = new Set<CountedConnection>()
  bytes: Bytes = 0
  readonly turns: SourceTurns

  constructor(key: string, namespace: NamespaceAccount) {
    this.key = key
    this.namespace = namespace
    this.turns = new SourceTurns(namespace.turnRules)
  }
}

/** The account of one scope, whatever number of listening sockets it has. */
export class NamespaceAccount {
  readonly scope: string
  readonly turnRules: TurnRules
  readonly sources = new Map<string, SourceAccount>()
  bytes: Bytes = 0
  connections: Count = 0
  /** Listening sockets that count here. */
  listeners: Count = 0

  constructor(scope: string, turnRules: TurnRules) {
    this.scope = scope
    this.turnRules = turnRules
  }
}

/** What a namespace keeps of a source, made where there is nothing yet. @param key address and MAC */
export function sourceOf(namespace: NamespaceAccount, key: string): SourceAccount {
  const known = namespace.sources.get(key)
  if (known !== undefined) return known
  const made = new SourceAccount(key, namespace)
  namespace.sources.set(key, made)
  return made
}

/** Lets a source go that holds nothing any more. */
export function forgetSource(source: SourceAccount): void {
  if (source.holdings.size === 0) source.namespace.sources.delete(source.key)
}

/** Looks at all sources: only when there is no room left. */
export function greediestSource({ sources }: NamespaceAccount): SourceAccount | undefined {
  let found: SourceAccount | undefined
  for (const source of sources.values()) {
    if (source.holdings.size > 0 && (found === undefined || source.bytes > found.bytes)) {
      found = source
    }
  }
  return found
}

/** Idle ones first. */
export function oldestOf({ holdings }: SourceAccount): CountedConnection | undefined {
  for (const holding of holdings) {
    if (holding.holder.isIdle) return holding
  }
  const [oldest] = holdings
  return oldest
}
