/** Which process listens where we wanted to? Looked up when a bind fails, so that the operator need not search. */
import { closeSync, openSync, readSync } from 'node:fs'
import type { Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { terminalText } from '../../lib/observe/text-table.ts'
import { commandLineOf, procLink } from '../linux/process-identity.ts'
import { processIds, socketsOf } from '../linux/process-list.ts'
import { openNamespace, type NamespaceKey } from './namespace-handle.ts'
import type { NamespaceWindow } from './window.ts'

/** A process that listens on a TCP port of a namespace. */
export interface PortHolder {
  readonly pid: number
  /** As it was started, cut and made fit for a terminal. */
  readonly command: string
}

/** A listening socket of the current namespace. */
export interface ListeningRow {
  readonly tcpPort: number
  readonly inode: string
}

/** The kernel lists listening sockets first; connections behind them may be many, and are not read. */
const readLength = 65_536
const listening = '0A'
const longestCommand = 200
/** Processes are looked through at most so often, whatever number of namespaces is taken. */
const staleAfter: Milliseconds = 2_000

/** Reads `/proc/net/tcp` or `tcp6`. @see proc(5) */
export function parseListeningRows(text: string): ListeningRow[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === listening && fields.length > 9)
    .map((fields) => ({
      tcpPort: Number.parseInt(fields[1]?.split(':')[1] ?? '', 16),
      inode: fields[9] ?? '',
    }))
}

/**
 * The listening sockets of the namespace the calling thread is in, or that a process is in. System calls only, so it may run inside a
 * window.
 */
export function listListeningRows(process: number | 'thread-self'): ListeningRow[] {
  return ['tcp', 'tcp6'].flatMap((table) => {
    try {
      const fd = openSync(`/proc/${process}/net/${table}`, 'r')
      try {
        const bytes = Buffer.alloc(readLength)
        let length = 0
        for (;;) {
          const read = readSync(fd, bytes, length, readLength - length, null)
          if (read === 0) break
          length += read
        }
        return parseListeningRows(bytes.toString('latin1', 0, length))
      } finally {
        closeSync(fd)
      }
    } catch {
      // A kernel without IPv6 has no second table.
      return []
    }
  })
}

interface Look {
  readonly at: Milliseconds
  /** Processes by the namespace that they live in: `net:[4026531840]`. */
  readonly byNamespace: ReadonlyMap<string, readonly number[]>
}

/** Finds who listens, among the processes that can be seen from here. */
export class PortHolders {
  readonly #window: NamespaceWindow
  readonly #clock: Clock
  #look: Look | undefined

  constructor(window: NamespaceWindow, clock: Clock) {
    this.#window = window
    this.#clock = clock
  }

  /** @returns none when no process listens there any more, or the one that does cannot be seen: that takes CAP_SYS_PTRACE */
  find(path: string, key: NamespaceKey, tcpPort: number): PortHolder[] {
    const inodes = this.inodes(path, key, tcpPort)
    if (inodes.size === 0) return []
    return this.#livingIn(key)
      .filter((pid) => socketsOf(pid)?.some((inode) => inodes.has(inode)))
      .map((pid) => ({ pid, command: commandOf(pid) }))
  }

  /** Of the sockets that listen on a port of a namespace, whoever holds them. */
  inodes(path: string, key: NamespaceKey, tcpPort: number): ReadonlySet<string> {
    const handle = openNamespace(path)
    try {
      if (handle.key !== key) return new Set()
      const rows = this.#window.run(handle, () => listListeningRows('thread-self'))
      return new Set(rows.filter((row) => row.tcpPort === tcpPort).map(({ inode }) => inode))
    } finally {
      handle.close()
    }
  }

  /** Those that live in the namespace. One that moved out after it listened is not found, which is rare and no harm. */
  #livingIn(key: NamespaceKey): readonly number[] {
    const now = this.#clock.now()
    if (this.#look === undefined || now - this.#look.at > staleAfter) {
      this.#look = { at: now, byNamespace: groupByNamespace() }
    }
    return this.#look.byNamespace.get(`net:[${key.split(':')[1] ?? ''}]`) ?? []
  }
}

function groupByNamespace(): Map<string, number[]> {
  const groups = new Map<string, number[]>()
  for (const pid of processIds()) {
    const link = procLink(`/proc/${pid}/ns/net`)
    if (link === undefined) continue
    const group = groups.get(link)
    if (group === undefined) groups.set(link, [pid])
    else group.push(pid)
  }
  return groups
}

function commandOf(pid: number): string {
  return terminalText(commandLineOf(pid).join(' ')).slice(0, longestCommand)
}

/** For a log line or a status: `another process listens there: 1234, haproxy -f /…`. */
export function holdersText(holders: readonly PortHolder[]): string {
  if (holders.length === 0) return 'another process listens there, which cannot be seen from here'
  const named = holders.slice(0, 3).map(({ pid, command }) => `${pid}, ${command}`)
  return `another process listens there: ${named.join('; ')}`
}
