/** What does /proc show of a process? */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

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

/** @returns `undefined` when there is no such process */
export function processFacts(pid: number, procFolder = '/proc'): ProcessFacts | undefined {
  const folder = `${procFolder}/${pid}`
  try {
    const status = readFileSync(`${folder}/status`, 'latin1')
    const field = (name: string): readonly string[] =>
      new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1]?.trim().split(/\s+/) ?? []
    const groups = [field('Gid')[1], ...field('Groups')].filter((id) => id !== '')
    return {
      pid,
      userId: Number(field('Uid')[1]),
      groupIds: new Set(groups.map(Number)),
      capabilities: BigInt(`0x${field('CapEff')[0] ?? '0'}`),
      command: readFileSync(`${folder}/cmdline`, 'utf8').split('\0').slice(0, -1),
    }
  } catch {
    return undefined
  }
}

/** The number of every process that can be seen. */
export function processNumbers(procFolder = '/proc'): readonly number[] {
  return readdirSync(procFolder)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** How many files a process has open, and may have. @returns `undefined` when that is not ours to see */
export function openFiles(
  pid: number,
  procFolder = '/proc',
): { readonly open: number; readonly limit: number } | undefined {
  try {
    const limits = readFileSync(`${procFolder}/${pid}/limits`, 'latin1')
    const [, limit = ''] = /^Max open files\s+(\d+)/m.exec(limits) ?? []
    return { open: readdirSync(`${procFolder}/${pid}/fd`).length, limit: Number(limit) }
  } catch {
    return undefined
  }
}

/** What a link of a process names, such as `ns/mnt` or `fd/1`. @returns `undefined` when that is not ours to see */
export function processLink(pid: number, name: string, procFolder = '/proc'): string | undefined {
  try {
    return readlinkSync(`${procFolder}/${pid}/${name}`)
  } catch {
    return undefined
  }
}
