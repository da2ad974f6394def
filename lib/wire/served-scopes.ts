/**
 * How the supervisor of a host reports to the agent which scopes the host serves: one JSON object a line, over a UNIX socket that
 * workers cannot open. A report begins with a whole list, which counts from its end on, and goes on with changes.
 */
import { dirname, join } from 'node:path'
import type { Bytes, Count } from '../runtime/clock.ts'
import { allRead, readCount, readFields, readList, readWord } from './message-fields.ts'
import { parseScopeText, type ScopeText } from '../identity/scope.ts'

/** Longest line in either direction: a hundred scopes of the longest ids. */
export const longestScopesLine: Bytes = 32 * 1_024

/** In one line. */
export const scopesPerLine: Count = 100

/** Of one supervisor. Hosts have some hundreds. */
export const mostServedScopes: Count = 65_536

const mostUserId = 2 ** 32 - 1

/** Supervisor → agent. */
export type ScopesReport =
  /** A whole list follows. */
  | {
      readonly kind: 'begin'
      /** The account that the workers run as. */
      readonly workers: number
    }
  | { readonly kind: 'add' | 'remove'; readonly scopes: readonly ScopeText[] }
  /** The list is whole and replaces the one before. Later changes count at once. */
  | { readonly kind: 'complete' }

/** Agent → supervisor, after each whole list: how many scopes of it count. */
export interface ScopesReceipt {
  readonly kind: 'accepted'
  readonly scopes: Count
}

/** Reads what a supervisor sent. @returns `undefined` when it means nothing */
export function readScopesReport(value: unknown): ScopesReport | undefined {
  const fields = readFields(value)
  const kind = readWord(fields?.['kind'], ['begin', 'add', 'remove', 'complete'])
  if (fields === undefined || kind === undefined) return undefined
  if (kind === 'complete') return { kind }
  if (kind === 'begin') {
    const workers = readCount(fields['workers'], mostUserId)
    return workers === undefined ? undefined : { kind, workers }
  }
  const scopes = readList(fields['scopes'], scopesPerLine, parseScopeText)
  return scopes && { kind, scopes }
}

/** Reads what an agent answered. @returns `undefined` when it means nothing */
export function readScopesReceipt(value: unknown): ScopesReceipt | undefined {
  const fields = readFields(value)
  if (fields === undefined) return undefined
  return allRead({
    kind: readWord(fields['kind'], ['accepted']),
    scopes: readCount(fields['scopes'], mostServedScopes),
  })
}

/** Changes as messages that fit a line each. */
export function scopesReports(
  kind: 'add' | 'remove',
  scopes: readonly ScopeText[],
): readonly ScopesReport[] {
  const reports: ScopesReport[] = []
  for (let from = 0; from < scopes.length; from += scopesPerLine) {
    reports.push({ kind, scopes: scopes.slice(from, from + scopesPerLine) })
  }
  return reports
}

/** The socket for these reports is beside the agent's own: `/run/overlapd/agent.sock` has `/run/overlapd/agent-scopes.sock`. */
export function scopesSocketBeside(agentSocket: string): string {
  const name = /([^/]*?)(?:\.sock)?$/.exec(agentSocket)?.[1] ?? ''
  return join(dirname(agentSocket), `${name}-scopes.sock`)
}
