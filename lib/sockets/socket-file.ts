/** Whose is a UNIX socket, and who may connect? It is never there before both are settled. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  renameSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'
import { groupIdOf, userIdOf } from '../files/accounts.ts'
import type { Count } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import { bindPrivately, clearStaleSocket } from './private-socket.ts'

/**
 * Permission bits, or one of Neutron's words for `metadata_proxy_socket_mode`: `user` (0644), `group` (0664), `all` (0666),
 * or `deduce`, which takes the narrowest of these that lets the proxies in.
 */
export type SocketMode = number | 'deduce' | 'user' | 'group' | 'all'

export interface SocketFileOptions {
  readonly path: string
  readonly mode: SocketMode
  /** With permission bits: who owns the socket. With a word: as whom the proxies run (`metadata_proxy_user`). */
  readonly user?: string | undefined
  /** The same for the group (`metadata_proxy_group`). */
  readonly group?: string | undefined
  /** With permission bits and without a group: the one that gets it where it exists and we may give it, such as that of the workers. */
  readonly usualGroup?: string | undefined
  /** Connections that may wait to be accepted. */
  readonly backlog: Count
}

interface OwnIds {
  readonly userId: number
  readonly groupId: number
}

function known(kind: 'user' | 'group', name: string | undefined): number | undefined {
  if (name === undefined || name === '') return undefined
  const id = kind === 'user' ? userIdOf(name) : groupIdOf(name)
  if (id === undefined) throw new Error(`Cannot make the socket: ${kind} "${name}" is unknown`)
  return id
}

/** Only root may give a file to a group that it is no member of. */
function givableGroup(name: string, groupFile: string): number | undefined {
  const groupId = groupIdOf(name, groupFile)
  const isMember = groupId !== undefined && (process.getgroups?.() ?? []).includes(groupId)
  return isMember || process.geteuid?.() === 0 ? groupId : undefined
}

/**
 * The permission bits a mode stands for.
 * @see neutron/agent/metadata/proxy_base.py, `_get_socket_mode`
 */
export function socketModeBits(
  options: Pick<SocketFileOptions, 'mode' | 'user' | 'group'>,
  own: OwnIds,
): number {
  const bits = { user: 0o644, group: 0o664, all: 0o666 } as const
  if (typeof options.mode === 'number') return options.mode
  if (options.mode !== 'deduce') return bits[options.mode]
  const userId = known('user', options.user)
  if (userId === undefined || userId === 0 || userId === own.userId) return bits.user
  const groupId = known('group', options.group)
  return groupId === undefined || groupId === own.groupId ? bits.group : bits.all
}

/** What keeps the socket from being made on this host, for a check of the configuration: a name that no file of accounts has. */
export function socketAccountProblem(
  options: Pick<SocketFileOptions, 'mode' | 'user' | 'group'>,
): string | undefined {
  // With the other modes no user needs to be known, as for Neutron's agent.
  if (typeof options.mode !== 'number' && options.mode !== 'deduce') return undefined
  try {
    known('user', options.user)
    known('group', options.group)
    return undefined
  } catch (thrown) {
    return causeText(thrown)
  }
}

/** True when root alone can connect to a socket file, which takes the permission to write. */
export function isForRootAlone(path: string): boolean {
  const { uid, gid, mode } = statSync(path)
  const letsGroupIn = (mode & 0o020) !== 0 && gid !== 0
  return uid === 0 && !letsGroupIn && (mode & 0o002) === 0
}

/**
 * Listens on a socket file. The socket is made under another name that only we can open, gets its owner and mode, and is then
 * renamed: whoever finds it finds it finished. A socket that a dead process left is replaced.
 * @returns the function that removes the file, if it is still ours
 * @throws Error when a process answers on the path, or the directory cannot be written
 */
export async function listenOnSocketFile(
  server: Server,
  options: SocketFileOptions,
  groupFile = '/etc/group',
): Promise<() => void> {
  const { path, backlog, mode } = options
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  await clearStaleSocket(path)
  const bits = socketModeBits(options, {
    userId: process.geteuid?.() ?? 0,
    groupId: process.getegid?.() ?? 0,
  })
  const unfinished = join(folder, `.${randomBytes(6).toString('hex')}`)
  // Node binds before listen() returns.
  bindPrivately(() => server.listen({ path: unfinished, backlog }))
  await once(server, 'listening')
  try {
    if (typeof mode === 'number') {
      const userId = known('user', options.user)
      const { usualGroup } = options
      const given = known('group', options.group)
      const groupId =
        given ?? (usualGroup === undefined ? undefined : givableGroup(usualGroup, groupFile))
      if (userId !== undefined || groupId !== undefined) {
        chownSync(unfinished, userId ?? -1, groupId ?? -1)
      }
    }
    chmodSync(unfinished, bits)
    renameSync(unfinished, path)
  } catch (cause) {
    server.close()
    throw cause
  }
  const { ino } = lstatSync(path)
  return () => {
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) unlinkSync(path)
  }
}
