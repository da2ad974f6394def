import { OvsdbError } from './ovsdb-error.ts'
import type { Row } from './notation.ts'

/** What of `_Server`'s table Database is monitored. @see ovsdb-server(5) */
export const serverStatusColumns = ['name', 'model', 'connected', 'leader', 'cid'] as const

/** Does this server serve the database as it should? One row of Database, put together from updates. */
export interface ServerStatus {
  readonly model: string
  readonly connected: boolean
  readonly leader: boolean
  /** The cluster; absent unless clustered. */
  readonly clusterId?: string
  /** How far in the cluster's log this server shows its data. */
  readonly index?: number
}

/** The furthest state of a cluster that was seen on any of its servers. */
export interface ClusterPosition {
  readonly clusterId: string
  readonly index: number
}

function optional(value: unknown): unknown {
  return Array.isArray(value) && value[0] === 'set' ? undefined : value
}

/** Reads the `index` in the answer to a `select` on Database. @returns `undefined` where there is none */
export function readIndex(answer: unknown): number | undefined {
  const [result] = Array.isArray(answer) ? (answer as readonly unknown[]) : []
  const { rows } = (result ?? {}) as { readonly rows?: unknown }
  const [row] = Array.isArray(rows) ? (rows as readonly unknown[]) : []
  const { index } = (row ?? {}) as { readonly index?: unknown }
  return typeof index === 'number' ? index : undefined
}

/** Reads a row of Database; what is missing has its type's default value. */
export function readServerStatus(row: Row, index: number | undefined): ServerStatus {
  const cluster = optional(row['cid'])
  const clusterId = Array.isArray(cluster) && cluster[0] === 'uuid' ? cluster[1] : undefined
  return {
    model: typeof row['model'] === 'string' ? row['model'] : 'standalone',
    connected: row['connected'] === true,
    leader: row['leader'] === true,
    ...(typeof clusterId === 'string' && { clusterId }),
    ...(index !== undefined && { index }),
  }
}

/**
 * Why the server is not to be used, or `undefined` when it is. A server that lost its cluster may serve old
 * data for ever, and one that lags behind what another has shown would take us back in time.
 * A relay is never a leader; whether it is connected to its source is all there is to know.
 */
export function whyUnsuitable(
  status: ServerStatus | undefined,
  database: string,
  wanted: { readonly leaderOnly: boolean; readonly seen?: ClusterPosition | undefined },
): OvsdbError | undefined {
  const unsuitable = (why: string): OvsdbError => new OvsdbError('unsuitable', why)
  if (status === undefined) return unsuitable(`The server has no database "${database}"`)
  if (!status.connected) return unsuitable('The server has lost its cluster or source')
  if (status.model !== 'clustered') return undefined
  if (wanted.leaderOnly && !status.leader) {
    return unsuitable('The server is not the leader of its cluster')
  }
  const isBehind =
    wanted.seen !== undefined &&
    wanted.seen.clusterId === status.clusterId &&
    (status.index ?? 0) < wanted.seen.index
  return isBehind ? unsuitable('The server is behind what its cluster has shown') : undefined
}
