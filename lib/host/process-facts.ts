/** What does /proc show of a process? */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

type ProcessNumber = number | 'self'

/** Whom a process runs as, and what it may. @see proc(5), capabilities(7) */
export interface ProcessFacts {
  readonly pid: number
  readonly userId: number
  readonly groupIds: ReadonlySet<number>
  /** Effective capabilities, as bits. */
  readonly capabilities: bigint
  /** The words it was started with. */
  readonly command: readonly string[]
}

/** Where a process comes from, and how it stands. @see proc(5), /proc/PID/status */
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

/** The fields of a status file by name, each in its words; none for an absent one. */
type StatusFields = (name: string) => readonly string[]

function statusFieldsOf(pid: ProcessNumber, procFolder = '/proc'): StatusFields | undefined {
  const text = procText(`${procFolder}/${pid}/status`)
  if (text === undefined) return undefined
  return (name) => {
    const [, value = ''] = new RegExp(`^${name}:(.*)$`, 'm').exec(text) ?? []
    return value.split(/\s+/).filter((word) => word !== '')
  }
}

function bitsOf([word = '0']: readonly string[]): bigint {
  return BigInt(`0x${word}`)
}

/** @returns `undefined` when there is no such process */
export function processFacts(pid: number, procFolder = '/proc'): ProcessFacts | undefined {
  const field = statusFieldsOf(pid, procFolder)
  if (field === undefined) return undefined
  const groups = [...field('Gid').slice(1, 2), ...field('Groups')]
  return {
    pid,
    userId: Number(field('Uid')[1]),
    groupIds: new Set(groups.map(Number)),
    capabilities: bitsOf(field('CapEff')),
    command: commandLineOf(pid, procFolder),
  }
}

/** @returns `undefined` when there is no such process */
export function processStatus(pid: number): ProcessStatus | undefined {
  const field = statusFieldsOf(pid)
  if (field === undefined) return undefined
  return {
    pid,
    parent: Number(field('PPid')[0]),
    isZombie: /^[ZX]/.test(field('State')[0] ?? ''),
    userIds: field('Uid').map(Number),
    hasNoNewPrivileges: field('NoNewPrivs')[0] === '1',
    boundingSet: bitsOf(field('CapBnd')),
  }
}

/** Effective capabilities of this process, as bits. */
export function ownCapabilities(): bigint {
  return bitsOf(statusFieldsOf('self')?.('CapEff') ?? [])
}

/** The number of every process that can be seen. */
export function processNumbers(procFolder = '/proc'): readonly number[] {
  return readdirSync(procFolder)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/**
 * When a process started, in the kernel's clock ticks since boot: with its number, this names it for good.
 * @returns `undefined` when there is no such process, or it has ended and only its parent has not waited for it
 * @see proc(5), fields 3 and 22 of /proc/PID/stat
 */
export function startTimeOf(pid: number): string | undefined {
  const stat = procText(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The command in parentheses may itself contain parentheses and spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}

/**
 * The words a process was started with.
 * @returns none when there is no such process, or it is one of the kernel's
 */
export function commandLineOf(pid: number, procFolder = '/proc'): readonly string[] {
  const text = procText(`${procFolder}/${pid}/cmdline`, 'utf8')
  return text === undefined ? [] : text.split('\0').slice(0, -1)
}

/** How many files a process has open, and may have. @returns `undefined` when that is not ours to see */
export function openFiles(
  pid: ProcessNumber,
): { readonly open: number; readonly limit: number } | undefined {
  const limits = procText(`/proc/${pid}/limits`)
  const [, limit] = /^Max open files\s+(\d+)/m.exec(limits ?? '') ?? []
  try {
    const open = readdirSync(`/proc/${pid}/fd`).length
    return limit === undefined ? undefined : { open, limit: Number(limit) }
  } catch {
    return undefined
  }
}

/**
 * What a link of a process names, such as `net:[4026531840]` for `ns/net`, or `socket:[1234]` for `fd/1`.
 * @returns `undefined` when it is gone, or not ours to read
 */
export function processLink(pid: ProcessNumber, name: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/${name}`)
  } catch {
    return undefined
  }
}

/** The descriptors of a process and what each is, `socket:[1234]`. @throws NodeJS.ErrnoException when it is gone, or not ours to read */
export function descriptorsOf(pid: number): readonly (readonly [fd: number, link: string])[] {
  return readdirSync(`/proc/${pid}/fd`).map(
    (fd) => [Number(fd), processLink(pid, `fd/${fd}`) ?? ''] as const,
  )
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

/** Which groups of the service manager a process is in, as text to compare; empty when there is no such process. */
export function controlGroupsOf(pid: ProcessNumber): string {
  return procText(`/proc/${pid}/cgroup`) ?? ''
}

function procText(path: string, encoding: 'latin1' | 'utf8' = 'latin1'): string | undefined {
  try {
    return readFileSync(path, encoding)
  } catch {
    return undefined
  }
}
