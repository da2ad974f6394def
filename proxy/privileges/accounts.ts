/** Which user and group are meant? Names are read from the system's files, so that a privileged process uses no name service. */
import { readFileSync } from 'node:fs'
import { groupIdOf, primaryGroupOf, proxyAccount, userIdOf } from '../../lib/files/accounts.ts'

/** A user and a group by number. */
export interface Account {
  readonly userId: number
  readonly groupId: number
}

/** The account `nobody` where the files lack it. */
const unprivileged: Account = { userId: 65_534, groupId: 65_534 }

/** Where names are looked up. */
export interface AccountFiles {
  readonly passwd: string
  readonly group: string
}

/** The system's own. */
export const systemAccountFiles: AccountFiles = { passwd: '/etc/passwd', group: '/etc/group' }

/**
 * Resolves a user by name or number, and a group likewise. Without a user: the proxy's account where it exists, else `nobody`.
 * Without a group: the user's own, or for a number that no file knows the group of the same number.
 * @throws Error naming what is not known
 */
export function resolveAccount(
  wantedUser: string | undefined,
  group: string | undefined,
  files: AccountFiles = systemAccountFiles,
): Account {
  const user = wantedUser ?? usualUser(files)
  const userId =
    userIdOf(user, files.passwd) ?? (user === 'nobody' ? unprivileged.userId : undefined)
  if (userId === undefined) throw new Error(`Cannot run workers as user "${user}": it is unknown`)
  if (group === undefined) {
    return { userId, groupId: primaryGroupOf(userId, files.passwd) ?? userId }
  }
  const groupId = groupIdOf(group, files.group)
  if (groupId === undefined) {
    throw new Error(`Cannot run workers in group "${group}": it is unknown`)
  }
  return { userId, groupId }
}

function usualUser({ passwd }: AccountFiles): string {
  return userIdOf(proxyAccount, passwd) === undefined ? 'nobody' : proxyAccount
}

/**
 * Whom the workers run as.
 * @returns `undefined` when they stay what the supervisor is: it is not root, that is the wanted user already, or the user does not
 * exist in its user namespace, as is usual without root. They have no capabilities all the same.
 * @throws Error naming what is not known
 */
export function workerAccount(wanted: {
  readonly user?: string | undefined
  readonly group?: string | undefined
}): Account | undefined {
  if (process.geteuid?.() !== 0) return undefined
  const account = resolveAccount(wanted.user, wanted.group)
  const isKnown =
    isMapped(account.userId, '/proc/self/uid_map') &&
    isMapped(account.groupId, '/proc/self/gid_map')
  const isAnother = account.userId !== process.geteuid() || account.groupId !== process.getegid?.()
  return isKnown && isAnother ? account : undefined
}

function isMapped(id: number, mapFile: string): boolean {
  const rows = readFileSync(mapFile, 'utf8').trim().split('\n')
  return rows.some((row) => {
    const [inside = 0, , length = 0] = row.trim().split(/\s+/).map(Number)
    return id >= inside && id < inside + length
  })
}
