import type { IngressPort } from '../../../lib/identity/ingress-port.ts'
import type { Bytes, Count, EpochMilliseconds, Milliseconds } from '../../../lib/runtime/clock.ts'
import type { LogLevel } from '../../../lib/runtime/log.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import type { Scope } from '../../../lib/identity/scope.ts'
import type { RequestEvent } from '../../../lib/operator/request-event.ts'
import type { MetricJson } from './metric-json.ts'

/** What a listening socket stands for. The worker gets it beside the descriptor and never looks anywhere else for it. */
export interface ListenerDescription {
  /** Unique for the life of the supervisor; never used again. */
  readonly listenerId: number
  readonly scope: Scope
  /** `ovn` sends the network id in `X-OVN-Network-ID`, `ml2` in Neutron's two headers. */
  readonly flavour: 'ml2' | 'ovn'
  /** Name of the namespace, for logs only: names are reused, identities are not. */
  readonly netns: string
  /** What was bound, for logs: `[::]:9697`. */
  readonly bound: string
}

/** A listener that the worker binds itself, in the namespace it lives in: a demo where there are no namespaces. */
export interface OwnListenerDescription extends ListenerDescription {
  readonly host: string
  readonly tcpPort: number
}

/** Where an agent listens. Holds a private key where it is of another host: whole addresses are never logged. */
export type AgentAddress =
  | { readonly kind: 'unix'; readonly socket: string }
  | {
      readonly kind: 'tls'
      readonly host: string
      readonly tcpPort: number
      /** The name its certificate must bear, when that is not the host's. */
      readonly serverName?: string
      readonly tls: AgentTls
    }

/** PEM texts. The supervisor reads the files, so that workers need not be able to. */
export interface AgentTls {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

/** How one worker finds an agent. */
export interface AgentReport {
  /** A path, or `https://192.0.2.1:9699`. */
  readonly agent: string
  readonly state: 'up' | 'down'
  /** True for the one that gave the latest answer. */
  readonly isAnswering: boolean
  readonly lastFailure?: string
}

/** Why a worker sends nothing straight to compute. `configured`: it must not. */
export const agentWayReasons = [
  'configured',
  'no_leases',
  'none_granted',
  'compute_unreached',
] as const

/** Which way requests go that a lease may cover. */
export type ForwardingReport =
  | { readonly way: 'compute' }
  | {
      readonly way: 'agent'
      readonly why: (typeof agentWayReasons)[number]
      /** Of the latest attempt to reach compute. */
      readonly failure?: string
    }

/** The part of the proxy's configuration that workers need; plain data, sent once before the first listener. */
export interface WorkerConfig {
  readonly logLevel: LogLevel
  /** Of every listening socket, as the supervisor gave it to `listen(2)`: Node calls that again. */
  readonly backlog: Count
  readonly agent: {
    /** In order of preference, at least one. */
    readonly addresses: readonly AgentAddress[]
    /** To each, at most, of one worker. */
    readonly connections: Count
    /** To all agents together; also how long missing or restarting ones are waited for. */
    readonly timeoutConnect: Milliseconds
    /** To the head of an answer, beyond the limit for connecting; waiting for a free connection counts. */
    readonly timeoutHeaders: Milliseconds
    /** Between two parts of an answer's body. */
    readonly timeoutBody: Milliseconds
    /** Whether they are checked now and then. */
    readonly checksHealth: boolean
  }
  /** Absent: every request goes over the agent. */
  readonly forwarding?: {
    /** UNIX stream socket on which the agent leases signed header sets. */
    readonly leaseSocket: string
    /** Leases held at one time. */
    readonly leases: Count
    /** To each compute endpoint, of one worker; more requests go over the agent. */
    readonly connections: Count
    /** Short: the agent is always there to fall back on. */
    readonly timeoutConnect: Milliseconds
  }
  /** Absent: whoever connects is a guest. */
  readonly canary?: {
    /** Path with the token that only workers of this supervisor know. */
    readonly target: string
    readonly timeout: Milliseconds
    readonly checksAgent: boolean
  }
  readonly limits: {
    readonly headBytes: Bytes
    readonly bodyBytes: Bytes
    readonly timeoutHead: Milliseconds
    /** For head and body together; also how long a guest may leave an answer unread. */
    readonly timeoutRequest: Milliseconds
    readonly timeoutKeepAlive: Milliseconds
    /** Whose requests are served at once; more wait. This one and the next count in each worker by itself. */
    readonly connectionsPerSource: Count
    readonly connectionsPerNamespace: Count
    readonly requestsPerConnection: Count
  }
}

/**
 * Supervisor → worker, one JSON value a line over a pipe. Descriptors travel beside it, by SCM_RIGHTS on a SOCK_SEQPACKET pair.
 * @see childDescriptors
 */
export type ToWorker =
  | { readonly kind: 'configure'; readonly config: WorkerConfig }
  /** As many descriptors, in this order, were sent before this message. */
  | { readonly kind: 'listeners'; readonly listeners: readonly ListenerDescription[] }
  /** Bind these by yourself; no descriptors travel. Answered by `listening` or `listen-failed` as the others are. */
  | { readonly kind: 'own-listeners'; readonly listeners: readonly OwnListenerDescription[] }
  /** Stop accepting on these and close them; connections already accepted are served to their end. */
  | { readonly kind: 'close-listeners'; readonly listenerIds: readonly number[] }
  /** Other agents or other certificates from now on. */
  | { readonly kind: 'reconfigure-agents'; readonly addresses: readonly AgentAddress[] }
  /** Stop accepting everywhere, finish what runs, answer `drained`, exit. */
  | { readonly kind: 'drain'; readonly limit: Milliseconds }
  /** Should the supervisor be gone, serve until another one does, and drain then. Replaces an order given before. */
  | { readonly kind: 'serve-until'; readonly order: ServeUntil }
  /** Answered by `pong`, at once. */
  | { readonly kind: 'ping'; readonly id: number }
  | { readonly kind: 'metrics'; readonly id: number }
  /** Answered by `request-record`. */
  | { readonly kind: 'find-request'; readonly id: number; readonly requestId: string }
  /** Answered by `recent-requests`. Without a number: which one to send with the next query. */
  | { readonly kind: 'list-requests'; readonly id: number; readonly after?: Count }
  /** Check over a connecting socket, whose descriptor was sent before this message. Answered by `canary`. */
  | { readonly kind: 'check-canary'; readonly canaryId: number }

/** Until when a worker serves that has no supervisor any more: until it is replaced, or the deadline has passed. */
export interface ServeUntil {
  /** From the end of the supervisor. 0: the worker drains at once. */
  readonly deadline: Milliseconds
  /**
   * Present: the next supervisor runs as the user `owner`, takes the sockets and releases the worker on the takeover socket, whose
   * descriptor was sent before this message. Absent: the service manager keeps the sockets and the other end of the descriptor
   * channel, and the worker is replaced once no process holds that end.
   */
  readonly takeover?: { readonly owner: number }
}

/** What became of one request of a guest. Holds nothing that is signed. */
export interface RequestRecord {
  /** Empty when the request could not be read. */
  readonly requestId: string
  readonly at: EpochMilliseconds
  readonly method: string
  /** The request-target, cut where it becomes long. */
  readonly target: string
  /** As `scopeText` writes it. */
  readonly scope: string
  readonly sourceIp: string
  readonly sourceMac?: string
  /** In a router's namespace: the port by which the connection came, or `other`. */
  readonly ingressPort?: IngressPort
  /** Under a lease: whom it was for, and the origin of the endpoint. */
  readonly instanceId?: string
  readonly projectId?: string
  readonly upstream?: string
  readonly answeredBy: RequestEvent['answeredBy']
  readonly outcome: RequestEvent['outcome']
  /** What the guest got; 0 when nothing. */
  readonly status: number
  readonly reason?: ReasonCode
  /** From the whole head to the end of the answer. */
  readonly span: Milliseconds
}

/** In one answer; a line has its bound. */
export const mostRecentRequests: Count = 300

/** Requests that are over since a worker was last queried, the oldest first. */
export interface RecentRequests {
  /** The number to send with the next query. */
  readonly last: Count
  /** Those that are forgotten already, or too many for one answer. */
  readonly missed: Count
  readonly records: readonly RequestRecord[]
}

/** Why a canary was not answered by a worker of this supervisor: one of another supervisor got it. That means nothing for guests. */
export const notOurs = 'answered by a worker of another supervisor'

/** What came of a check as the canary. `why` is a reason code, the kernel's word, or a few words. */
export type CanaryOutcome =
  | { readonly ok: true; readonly latency: Milliseconds }
  | { readonly ok: false; readonly why: string }

/** Worker → supervisor, one JSON value a line over a pipe. @see readFromWorker */
export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'listening'; readonly listenerIds: readonly number[] }
  | {
      readonly kind: 'listen-failed'
      readonly failures: readonly { readonly listenerId: number; readonly cause: string }[]
    }
  /** With how many answers of status 2xx it has given to guests. */
  | {
      readonly kind: 'pong'
      readonly id: number
      readonly served: Count
      readonly forwarding: ForwardingReport
    }
  | { readonly kind: 'metrics'; readonly id: number; readonly metrics: readonly MetricJson[] }
  /** In order of preference, whenever something has changed. */
  | { readonly kind: 'agents'; readonly agents: readonly AgentReport[] }
  | { readonly kind: 'canary'; readonly canaryId: number; readonly outcome: CanaryOutcome }
  /** Without a record when the request is not among the latest of this worker. */
  | { readonly kind: 'request-record'; readonly id: number; readonly record?: RequestRecord }
  | { readonly kind: 'recent-requests'; readonly id: number; readonly requests: RecentRequests }
  | { readonly kind: 'drained' }
