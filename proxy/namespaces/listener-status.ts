/** How are the listeners of one namespace, and what does not work? */
import { Backoff } from '../../lib/runtime/backoff.ts'
import type { Cancel, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import type { FailedListener } from '../netns/listen-in.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import type { ListenerDescription } from '../worker/shared/protocol.ts'
import type { NamespaceKind } from './identity.ts'
import type { Attachment } from './plan-attachments.ts'

/** A listening socket and what it stands for. The descriptor stays open here until it is removed. */
export interface OpenListener {
  readonly description: ListenerDescription
  readonly fd: number
}

/** `serving` when a worker accepts on at least one of the addresses. */
export type NamespaceState = 'opening' | 'serving' | 'failed'

/** How the listeners of one namespace are, for status. */
export interface NamespaceStatus {
  readonly key: NamespaceKey
  readonly netns: string
  readonly kind: NamespaceKind
  /** `router/ID` or `network/ID`. */
  readonly scope: string
  readonly flavour: 'ml2' | 'ovn'
  readonly state: NamespaceState
  readonly listeners: readonly string[]
  /** Addresses that guests use, and that no interface of the namespace has. */
  readonly absent?: readonly string[]
  /** What does not work, if anything, and what to do. */
  readonly why?: string
}

/** A namespace that is wanted, with its open sockets. */
export interface NamespaceHoldings {
  readonly attachment: Attachment
  readonly status: NamespaceStatus
  readonly fds: readonly number[]
}

/** A listening socket that is open. */
export interface HeldSocket {
  readonly listener: OpenListener
  isListening: boolean
  /** A worker could not listen on it. */
  refusal?: string
}

/** A namespace that is wanted, and what came of it. */
export interface WantedNamespace {
  attachment: Attachment
  readonly wantedAt: MonotonicMilliseconds
  readonly held: Map<string, HeldSocket>
  readonly backoff: Backoff
  failures: readonly FailedListener[]
  absent: readonly string[]
  trouble: string | undefined
  loggedWhy: string | undefined
  isOpened: boolean
  isServing: boolean
  cancelVisit: Cancel | undefined
}

const firstPause: Milliseconds = 50
const longestPause: Milliseconds = 10_000

/** A namespace of which nothing is open yet. */
export function wantedNamespace(
  attachment: Attachment,
  wantedAt: MonotonicMilliseconds,
): WantedNamespace {
  return {
    attachment,
    wantedAt,
    held: new Map(),
    backoff: new Backoff(firstPause, longestPause),
    failures: [],
    absent: [],
    trouble: undefined,
    loggedWhy: undefined,
    isOpened: false,
    isServing: false,
    cancelVisit: undefined,
  }
}

/** What status and audit show of a namespace. */
export function statusOf(entry: WantedNamespace): NamespaceStatus {
  const { key, netns, identity } = entry.attachment
  const why = whyText(entry)
  return {
    key,
    netns,
    kind: identity.kind,
    scope: scopeText(identity.scope),
    flavour: identity.flavour,
    state: stateOf(entry),
    listeners: [...entry.held.values()].map(({ listener }) => listener.description.bound),
    ...(entry.absent.length > 0 && { absent: entry.absent }),
    ...(why !== undefined && { why }),
  }
}

/** How the listeners of one namespace are. */
export function stateOf(entry: WantedNamespace): NamespaceState {
  const held = [...entry.held.values()]
  if (held.some((one) => one.isListening)) return 'serving'
  const isStuck = held.every((one) => one.refusal !== undefined)
  const isFailing = entry.trouble !== undefined || entry.failures.length > 0 || held.length > 0
  return isFailing && isStuck ? 'failed' : 'opening'
}

/** What does not work, and what to do. @returns `undefined` when everything does */
export function whyText({ trouble, failures, held }: WantedNamespace): string | undefined {
  const refusals = [...held.values()].flatMap(({ listener, refusal }) =>
    refusal === undefined ? [] : [{ bound: listener.description.bound, why: refusal }],
  )
  const all = [...failures, ...refusals].map(({ bound, why }) => `${bound}: ${advised(why)}`)
  if (trouble !== undefined) all.unshift(advised(trouble))
  return all.length === 0 ? undefined : all.join('; ')
}

function advised(why: string): string {
  if (why.endsWith(')')) return why
  const known = Object.entries(advice).find(([errno]) => why.includes(errno))
  return known === undefined ? why : `${why} (${known[1]})`
}

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there, such as the haproxy of a Neutron agent',
  EPERM: 'the proxy needs CAP_SYS_ADMIN',
  EACCES: 'the proxy needs CAP_NET_BIND_SERVICE',
  EMFILE: 'raise the limit of open files (LimitNOFILE)',
  ENFILE: 'raise fs.file-max',
}
