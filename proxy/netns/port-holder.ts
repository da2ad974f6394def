/** Which process listens where we wanted to? Looked up when a bind fails, so that the operator need not search. */
import type { Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { terminalText } from '../../lib/observe/text-table.ts'
import { listListeningRows } from '../../lib/host/port-listeners.ts'
import {
  commandLineOf,
  processLink,
  processNumbers,
  socketsOf,
} from '../../lib/host/process-facts.ts'
import { openNamespace, type NamespaceKey } from './namespace-handle.ts'
import type { NamespaceWindow } from './window.ts'

/** A process that listens on a TCP port of a namespace. */
export interface PortHolder {
  readonly pid: number
  /** As it was started, cut and made fit for a terminal. */
  readonly command: string
}

const longestCommand = 200
/** Processes are looked through at most so often, whatever number of namespaces is taken. */
const staleAfter: Milliseconds = 2_000

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
  for (const pid of processNumbers()) {
    const link = processLink(pid, 'ns/net')
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
