/** Which process listens on a port of a network namespace? Root may look through /proc; a daemon with few capabilities may not. */
import { readdirSync, readFileSync } from 'node:fs'
import { processFacts, processLink, processNumbers } from './process-facts.ts'

/** @see proc(5), /proc/net/tcp */
const listening = '0A'

function inodesOf(pid: number, tcpPort: number): ReadonlySet<string> {
  const port = tcpPort.toString(16).toUpperCase().padStart(4, '0')
  const inodes = ['tcp', 'tcp6'].flatMap((table) => {
    const rows = textOf(`/proc/${pid}/net/${table}`).split('\n').slice(1)
    return rows
      .map((row) => row.trim().split(/\s+/))
      .filter((fields) => fields[3] === listening && fields[1]?.endsWith(`:${port}`) === true)
      .map((fields) => fields[9] ?? '')
  })
  return new Set(inodes)
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
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
  const inodes = living[0] === undefined ? new Set<string>() : inodesOf(living[0], tcpPort)
  return living.flatMap((pid) => {
    const isHolder = filesOf(pid).some((fd) => {
      const link = processLink(pid, `fd/${fd}`) ?? ''
      return inodes.has(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? '')
    })
    return isHolder ? [`${pid} ${processFacts(pid)?.command.join(' ').slice(0, 200) ?? ''}`] : []
  })
}

function filesOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
  } catch {
    return []
  }
}
