/** Which process listens on a port of a network namespace? Root may look through /proc; a daemon with few capabilities may not. */
import { closeSync, openSync, readSync } from 'node:fs'
import { commandLineOf, processLink, processNumbers, socketsOf } from './process-facts.ts'

/** A listening socket of a namespace. */
export interface ListeningRow {
  readonly tcpPort: number
  readonly inode: string
}

/** The kernel lists listening sockets first; connections behind them may be many, and are not read. */
const readLength = 65_536
const listening = '0A'

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

/**
 * @param inode of the namespace, as `stat` gives it for its name
 * @param visitors processes that enter namespaces for a moment and listen there by right: they do not live there
 * @returns `1234 haproxy -f /…` for each process that lives in the namespace and listens
 */
export function listenersIn(
  inode: number,
  tcpPort: number,
  visitors: ReadonlySet<number> = new Set(),
): readonly string[] {
  const living = processNumbers().filter(
    (pid) => !visitors.has(pid) && processLink(pid, 'ns/net') === `net:[${inode}]`,
  )
  const [any] = living
  const rows = any === undefined ? [] : listListeningRows(any)
  const inodes = new Set(rows.filter((row) => row.tcpPort === tcpPort).map((row) => row.inode))
  return living
    .filter((pid) => socketsOf(pid)?.some((socket) => inodes.has(socket)))
    .map((pid) => `${pid} ${commandLineOf(pid).join(' ').slice(0, 200)}`)
}
