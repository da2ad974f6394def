/** May a process open a UNIX socket, by the owners and modes on the way to it? */
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { ProcessFacts } from './process-facts.ts'

/** @see capabilities(7) */
const overridesAccess = 1n << 1n
const execute = 1
const write = 2

function permits(
  path: string,
  { userId, groupIds }: Pick<ProcessFacts, 'userId' | 'groupIds'>,
  bit: number,
): boolean {
  const { uid, gid, mode } = statSync(path)
  const shift = uid === userId ? 6 : groupIds.has(gid) ? 3 : 0
  return ((mode >> shift) & bit) !== 0
}

function shownMode(path: string): string {
  const { uid, gid, mode } = statSync(path)
  return `${path} is ${(mode & 0o7777).toString(8).padStart(4, '0')}, owner ${uid}, group ${gid}`
}

/**
 * @param process who is to connect
 * @returns what stands in the way; `undefined` when nothing does
 * @throws NodeJS.ErrnoException when the socket is not there, or not ours to see
 */
export function whyCannotOpen(
  path: string,
  process: Pick<ProcessFacts, 'userId' | 'groupIds' | 'capabilities'>,
): string | undefined {
  if ((process.capabilities & overridesAccess) !== 0n) return undefined
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) {
    if (!permits(folder, process, execute)) return shownMode(folder)
  }
  return permits(path, process, write) ? undefined : shownMode(path)
}
