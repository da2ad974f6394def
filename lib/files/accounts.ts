/** Which user or group does a name in the configuration mean, and which is meant without one? Read from the system's files, without a name service. */
import { readFileSync } from 'node:fs'

/** The columns of `/etc/passwd` and `/etc/group` that matter; the last one only a user has. */
const columns = { name: 0, id: 2, group: 3 } as const

type Column = (typeof columns)[keyof typeof columns]

/** A system without the file knows no names. */
function rowsOf(file: string): readonly (readonly string[])[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
  } catch {
    return []
  }
}

function numberIn(file: string, by: Column, wanted: string, column: Column): number | undefined {
  const text = rowsOf(file).find((fields) => fields[by] === wanted)?.[column]
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined
}

function idIn(file: string, wanted: string): number | undefined {
  if (/^\d{1,10}$/.test(wanted)) return Number(wanted)
  return numberIn(file, columns.name, wanted, columns.id)
}

/**
 * The account that packages make for the workers of the proxy. They run as this user where it exists, and the agent gives its
 * sockets to this group, so that both sides meet without a line of configuration. The agent's own group would not do: it may
 * read secrets.
 */
export const proxyAccount = 'overlapd-proxy'

/** The group that lets a supervisor report to the agent what it serves. No worker is in it. */
export const supervisorGroup = 'overlapd-supervisor'

/** @returns the number of a user given by name or number, or `undefined` when the name is unknown */
export function userIdOf(user: string, file = '/etc/passwd'): number | undefined {
  return idIn(file, user)
}

/** @returns the number of a group given by name or number, or `undefined` when the name is unknown */
export function groupIdOf(group: string, file = '/etc/group'): number | undefined {
  return idIn(file, group)
}

/** @returns the number of a user's own group, or `undefined` when the user is unknown */
export function primaryGroupOf(userId: number, file = '/etc/passwd'): number | undefined {
  return numberIn(file, columns.id, String(userId), columns.group)
}
