/** What do the supervisor and the planner send each other? One JSON value a line; descriptors travel beside it. */
import type { Count } from '../../../lib/runtime/clock.ts'
import type { NetworkId } from '../../../lib/identity/ids.ts'
import type { LogLevel } from '../../../lib/runtime/log.ts'
import type { OvsdbLimits } from '../../../lib/ovsdb/client-options.ts'
import type { OvsdbEndpoint, OvsdbTlsMaterial } from '../../../lib/ovsdb/endpoint.ts'
import { readList } from '../../../lib/wire/message-fields.ts'
import { isMapping, type Mapping } from '../../../lib/runtime/mapping.ts'
import { parseNetworkUuid, readNetworkPlan, type NetworkPlan } from './network-plan.ts'

/** The part of the configuration that the planner needs. */
export interface PlannerConfig {
  readonly logLevel: LogLevel
  readonly southbound: readonly OvsdbEndpoint[]
  readonly leaderOnly: boolean
  /** The local Open vSwitch. */
  readonly local: OvsdbEndpoint
  /** Where `external_ids:ovn-bridge` names none. */
  readonly bridge: string
  /** Absent: `external_ids:system-id`. */
  readonly chassis?: string
  readonly limits: OvsdbLimits
}

/** Which server is meant: the local one, or the southbound one of that number. */
export type ServerPlace = 'local' | number

/** What the planner gets to connect with: a descriptor that was sent before, certificates, or why there is nothing. */
export type Opened =
  | { readonly kind: 'descriptor' }
  | { readonly kind: 'tls'; readonly tls: OvsdbTlsMaterial }
  | { readonly kind: 'failed'; readonly why: string }

/** Supervisor → planner. */
export type ToPlanner =
  | { readonly kind: 'configure'; readonly config: PlannerConfig }
  | { readonly kind: 'opened'; readonly id: number; readonly opened: Opened }
  /** The cables of these networks are there, or not any more. */
  | {
      readonly kind: 'cables'
      readonly present: boolean
      readonly networkIds: readonly NetworkId[]
    }

/** How the planner stands with the databases, for people. */
export interface PlannerReport {
  readonly southbound: string
  readonly isSouthboundLive: boolean
  readonly local: string
  readonly isLocalLive: boolean
  readonly chassis?: string
  readonly bridge?: string
  /** What keeps it from planning or plugging although both are there. */
  readonly trouble?: string
}

/** Planner → supervisor. */
export type FromPlanner =
  | { readonly kind: 'ready' }
  /** A UNIX socket connected to that server, or what TLS needs for it. */
  | { readonly kind: 'open'; readonly id: number; readonly place: ServerPlace }
  | { readonly kind: 'report'; readonly report: PlannerReport }
  /** All there is: the first since this planner was started. */
  | { readonly kind: 'complete'; readonly networks: readonly NetworkPlan[] }
  | {
      readonly kind: 'change'
      readonly put: readonly NetworkPlan[]
      readonly gone: readonly NetworkId[]
    }

/** Networks on one host; a planner that sends more is broken. */
const mostNetworks: Count = 50_000
const longestText = 500

/**
 * Reads a message of a planner. The planner parses what comes from the network, so nothing of it is trusted.
 * @returns `undefined` for what is none of {@link FromPlanner}
 */
export function readFromPlanner(message: unknown): FromPlanner | undefined {
  if (!isMapping(message)) return undefined
  switch (message['kind']) {
    case 'ready':
      return { kind: 'ready' }
    case 'open':
      return readOpen(message)
    case 'report': {
      const report = readReport(message['report'])
      return report && { kind: 'report', report }
    }
    case 'complete': {
      const networks = readList(message['networks'], mostNetworks, readNetworkPlan)
      return networks && { kind: 'complete', networks }
    }
    case 'change': {
      const put = readList(message['put'], mostNetworks, readNetworkPlan)
      const gone = readList(message['gone'], mostNetworks, parseNetworkUuid)
      return put && gone && { kind: 'change', put, gone }
    }
    default:
      return undefined
  }
}

function readOpen({ id, place }: Mapping): FromPlanner | undefined {
  const isPlace = place === 'local' || Number.isSafeInteger(place)
  return typeof id === 'number' && isPlace
    ? { kind: 'open', id, place: place as ServerPlace }
    : undefined
}

function readReport(given: unknown): PlannerReport | undefined {
  if (!isMapping(given)) return undefined
  const text = (name: string): string | undefined => {
    const one = given[name]
    return typeof one === 'string' ? one.slice(0, longestText) : undefined
  }
  const chassis = text('chassis')
  const bridge = text('bridge')
  const trouble = text('trouble')
  return {
    southbound: text('southbound') ?? '',
    isSouthboundLive: given['isSouthboundLive'] === true,
    local: text('local') ?? '',
    isLocalLive: given['isLocalLive'] === true,
    ...(chassis !== undefined && { chassis }),
    ...(bridge !== undefined && { bridge }),
    ...(trouble !== undefined && { trouble }),
  }
}
