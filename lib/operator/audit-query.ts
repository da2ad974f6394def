/** How are the audits of both daemons queried? The agent's is about what the proxy serves. */
import { adminAddress } from '../cli/admin-sockets.ts'
import type { CommandCall } from '../cli/command.ts'
import { isMapping } from '../runtime/mapping.ts'
import type { Daemon } from '../config/defaults.ts'
import {
  AdminUnreachableError,
  requestAdminJson,
  type AdminRequestOptions,
} from '../http/admin-client.ts'
import { mappings, texts } from './answer-fields.ts'
import { readFindings, type Finding } from './finding.ts'

/** Many scopes of a busy cloud, queried one network after the other. */
const longestAudit = 300_000

/** What one daemon answered on `/audit`. */
export interface DaemonAudit {
  readonly daemon: Daemon
  readonly checked: Readonly<Record<string, unknown>>
  readonly notes: readonly string[]
  readonly findings: readonly Finding[]
  readonly scopes: readonly string[]
  readonly answers: readonly Readonly<Record<string, unknown>>[]
}

/** A daemon that could not be queried, or one that answered something else. */
export interface Unqueried {
  readonly daemon: Daemon
  readonly why: string
}

async function query(
  daemon: Daemon,
  call: CommandCall,
  options: AdminRequestOptions,
): Promise<DaemonAudit | Unqueried> {
  try {
    const address = adminAddress(daemon, call)
    const limits = { timeLimit: longestAudit, bodyLimit: 64 * 1024 * 1024 }
    const { status, value } = await requestAdminJson(address, '/audit', { ...limits, ...options })
    if (status === 200 && isMapping(value) && Array.isArray(value['findings'])) {
      return {
        daemon,
        checked: isMapping(value['checked']) ? value['checked'] : {},
        notes: texts(value['notes']),
        findings: readFindings(value['findings']),
        scopes: texts(value['scopes']),
        answers: mappings(value['answers']),
      }
    }
    const message = isMapping(value) ? value['message'] : undefined
    return {
      daemon,
      why: typeof message === 'string' ? message : `it answered with status ${status}`,
    }
  } catch (thrown) {
    if (!(thrown instanceof AdminUnreachableError)) throw thrown
    return { daemon, why: thrown.message }
  }
}

/** Whether a daemon has answered. */
export function isQueried(one: DaemonAudit | Unqueried): one is DaemonAudit {
  return 'findings' in one
}

/** Queries one daemon after the other. @param withAnswers whether each answer is to be listed */
export async function queryAudits(
  wanted: readonly Daemon[],
  call: CommandCall,
  withAnswers: boolean,
): Promise<readonly (DaemonAudit | Unqueried)[]> {
  const proxy = wanted.includes('proxy') ? await query('proxy', call, {}) : undefined
  const queried = proxy === undefined ? [] : [proxy]
  if (!wanted.includes('agent')) return queried
  const scopes = proxy !== undefined && isQueried(proxy) ? proxy.scopes : undefined
  const json = { answers: withAnswers, ...(scopes && { scopes }) }
  return [...queried, await query('agent', call, { json })]
}
