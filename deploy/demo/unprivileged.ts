import { statSync } from 'node:fs'
import { dirname } from 'node:path'

/** The user and group "nobody" of every Linux. */
export const nobody = { uid: 65534, gid: 65534 } as const

/**
 * Whether another user can load our programs. A clone in root's home can be read by no other user; then the demo's
 * processes keep the user who started it.
 */
export function othersCanRead(path: string): boolean {
  const { mode } = statSync(path)
  const needed = statSync(path).isDirectory() ? 0o005 : 0o004
  if ((mode & needed) !== needed) return false
  const parent = dirname(path)
  return parent === path || othersCanEnter(parent)
}

function othersCanEnter(folder: string): boolean {
  if ((statSync(folder).mode & 0o001) === 0) return false
  const parent = dirname(folder)
  return parent === folder || othersCanEnter(parent)
}
