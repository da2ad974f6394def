/** Which user and group are meant? Names are read from the system's files, so that no service is asked in a privileged process. */
import { readFileSync } from 'node:fs'

/** A user and a group by number. */
export interface Account {
  readonly userId: number
  readonly groupId: number
}

/** What nobody is called where the files do not say. */
const nobody: Account = { userId: 65_534, groupId: 65_534 }

/** Where names are looked up. */
export interface AccountFiles {
  readonly passwd: string
  readonly group: string
}

/** The system's own. */
export const systemAccountFiles: AccountFiles = { passwd: '/etc/passwd', group: '/etc/group' }

/**
 * Resolves a user by name or number, and a group likewise; without one, the user's own group.
 * @throws Error naming what is not known
 */
export function resolveAccount(
  user: string,
  group: string | undefined,
  files: AccountFiles = systemAccountFiles,
): Account {
  const row = findRow(files.passwd, user, [0, 2])
  const fromNumber = isNumber(user) ? { userId: Number(user), groupId: Number(user) } : undefined
  const known = row && { userId: Number(row[2]), groupId: Number(row[3]) }
  const account = known ?? fromNumber ?? (user === 'nobody' ? nobody : undefined)
  if (account === undefined) throw new Error(`Cannot run workers as user "${user}": it is unknown`)
  if (group === undefined) return account
  if (isNumber(group)) return { ...account, groupId: Number(group) }
  const groupRow = findRow(files.group, group, [0])
  if (groupRow === undefined) {
    throw new Error(`Cannot run workers in group "${group}": it is unknown`)
  }
  return { ...account, groupId: Number(groupRow[2]) }
}

function isNumber(text: string): boolean {
  return /^\d{1,10}$/.test(text)
}

function findRow(file: string, wanted: string, columns: readonly number[]): string[] | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
  const rows = text.split('\n').map((line) => line.split(':'))
  return rows.find((row) => row.length > 2 && columns.some((column) => row[column] === wanted))
}

/**
 * Whom the workers run as.
 * @returns `undefined` when they stay what the opener is: it is not root, or the user does not exist in its user namespace, as is
 * usual without root. They have no capabilities all the same.
 * @throws Error naming what is not known
 */
export function workerAccount(wanted: {
  readonly user: string
  readonly group?: string | undefined
}): Account | undefined {
  if (process.geteuid?.() !== 0) return undefined
  const account = resolveAccount(wanted.user, wanted.group)
  const isKnown =
    isMapped(account.userId, '/proc/self/uid_map') &&
    isMapped(account.groupId, '/proc/self/gid_map')
  return isKnown ? account : undefined
}

function isMapped(id: number, mapFile: string): boolean {
  const rows = readFileSync(mapFile, 'utf8').trim().split('\n')
  return rows.some((row) => {
    const [inside = 0, , length = 0] = row.trim().split(/\s+/).map(Number)
    return id >= inside && id < inside + length
  })
}
