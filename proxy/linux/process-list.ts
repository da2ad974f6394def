/** Which processes run, as whom, and which sockets do they hold? */
import { readdirSync, readFileSync } from 'node:fs'
import { descriptorsOf } from './process-identity.ts'

/** What the kernel shows of a process to every user. @see proc(5), /proc/PID/status */
export interface ProcessStatus {
  readonly pid: number
  readonly parent: number
  /** It has ended, and its parent has not waited for it. */
  readonly isZombie: boolean
  /** Real, effective, saved and that for files. */
  readonly userIds: readonly number[]
  /** It can gain nothing by programs that give privileges. */
  readonly hasNoNewPrivileges: boolean
  /** Capabilities that it could have at most, as bits. */
  readonly boundingSet: bigint
}

/** Every process that can be seen from here. */
export function processIds(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** @returns `undefined` when there is no such process */
export function processStatus(pid: number): ProcessStatus | undefined {
  const text = textOf(`/proc/${pid}/status`)
  if (text === undefined) return undefined
  const field = (name: string): string =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1] ?? ''
  return {
    pid,
    parent: Number(field('PPid')),
    isZombie: /^[ZX]/.test(field('State')),
    userIds: field('Uid').split(/\s+/).map(Number),
    hasNoNewPrivileges: field('NoNewPrivs') === '1',
    boundingSet: BigInt(`0x${field('CapBnd') || '0'}`),
  }
}

/** Which groups of the service manager a process is in, as text to compare; empty when there is no such process. */
export function controlGroupsOf(pid: number | 'self'): string {
  return textOf(`/proc/${pid}/cgroup`) ?? ''
}

/**
 * Inodes of the sockets that a process holds.
 * @returns `undefined` when that cannot be seen: processes of other users take CAP_SYS_PTRACE
 */
export function socketsOf(pid: number): readonly string[] | undefined {
  try {
    const links = descriptorsOf(pid).map(([, link]) => link)
    // The numbers alone can be seen of a process that has changed its user.
    if (links.length > 0 && links.every((link) => link === '')) return undefined
    return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [])
  } catch {
    return undefined
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
