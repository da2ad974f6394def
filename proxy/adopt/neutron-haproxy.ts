/** Which haproxies on this host did Neutron start for metadata, in which namespaces, and may they be adopted? */
import { closeSync, openSync, readFileSync, readlinkSync, readSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { causeText } from '../../lib/runtime/errors.ts'
import type { NeutronHaproxyConfig } from '../haproxy-shim/neutron-config.ts'
import { readNeutronHaproxyConfig } from '../haproxy-shim/stand-in.ts'
import { identityFromName, isSameIdentity, type NamespaceIdentity } from '../namespaces/identity.ts'
import type { FoundNamespace } from '../netns/discover.ts'
import { namespaceKeyOf, type NamespaceKey } from '../netns/namespace-handle.ts'
import { listListeningRows } from '../../lib/host/port-listeners.ts'
import {
  commandLineOf,
  descriptorsOf,
  processNumbers,
  startTimeOf,
} from '../../lib/host/process-facts.ts'

/** A running haproxy with a configuration of Neutron's. */
export interface NeutronHaproxy {
  readonly pid: number
  readonly startTime: string
  readonly configFile: string
  readonly namespace: NamespaceKey
  /** What the namespace is called, or `undefined` for one without a name. */
  readonly netns: string | undefined
  readonly config: NeutronHaproxyConfig
}

/** A process that looks like one and is better left alone. */
export interface DoubtfulHaproxy {
  readonly pid: number
  readonly configFile: string
  readonly why: string
}

/** Where the ML2 drivers and the OVN agents put their files, in whatever state folder. */
const configPattern = /^\/(?:[^\p{Cc}]*\/)?(?:ns|ovn)-metadata-proxy\/[^/\p{Cc}]+\.conf$/u

/**
 * Looks at every process that claims to be haproxy with such a file. A name is easily taken on, so the file and the file with the process's
 * number, which only root and Neutron write, must agree with it.
 */
export function findNeutronHaproxies(found: readonly FoundNamespace[]): {
  readonly haproxies: readonly NeutronHaproxy[]
  readonly doubtful: readonly DoubtfulHaproxy[]
} {
  const names = new Map(found.map(({ key, netns }) => [key, netns]))
  const haproxies: NeutronHaproxy[] = []
  const doubtful: DoubtfulHaproxy[] = []
  for (const pid of processNumbers()) {
    const configFile = configFileOf(pid)
    if (configFile === undefined) continue
    try {
      haproxies.push(readHaproxy(pid, configFile, names))
    } catch (cause) {
      doubtful.push({ pid, configFile, why: causeText(cause) })
    }
  }
  return { haproxies, doubtful }
}

function configFileOf(pid: number): string | undefined {
  const words = commandLineOf(pid)
  if (basename(words[0] ?? '') !== 'haproxy') return undefined
  const file = words[words.indexOf('-f') + 1]
  return words.includes('-f') && file !== undefined && configPattern.test(file) ? file : undefined
}

function readHaproxy(
  pid: number,
  configFile: string,
  names: ReadonlyMap<NamespaceKey, string>,
): NeutronHaproxy {
  const startTime = startTimeOf(pid)
  const namespace = namespaceKeyOf(`/proc/${pid}/ns/net`)
  if (startTime === undefined || namespace === undefined) throw new Error('it has ended')
  const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '')
  if (basename(program) !== 'haproxy') throw new Error(`it is "${program}", not haproxy`)
  if (isWritableByAll(configFile)) throw new Error('every user may change its configuration')
  const config = readNeutronHaproxyConfig(configFile)
  if (pidIn(config.pidFile) !== pid) {
    throw new Error(`"${config.pidFile}" does not name it, so Neutron did not start it last`)
  }
  const netns = names.get(namespace)
  const contradiction = netns === undefined ? undefined : contradictionOf(netns, config.identity)
  if (contradiction !== undefined) throw new Error(contradiction)
  return { pid, startTime, configFile, namespace, netns, config }
}

function isWritableByAll(path: string): boolean {
  return (statSync(path).mode & 0o002) !== 0
}

/** @throws NodeJS.ErrnoException when there is no such file */
function pidIn(path: string): number {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(32)
    return Number(bytes.toString('latin1', 0, readSync(fd, bytes)))
  } finally {
    closeSync(fd)
  }
}

function contradictionOf(netns: string, identity: NamespaceIdentity): string | undefined {
  const named = identityFromName(netns)
  if (named === undefined || isSameIdentity(named, identity)) return undefined
  if (named.kind === 'network' && identity.kind === 'router') return undefined
  return `its namespace "${netns}" is of another router or network than its configuration`
}

/** The descriptors of a process that listen for TCP connections in the namespace it lives in. */
export function listeningDescriptorsOf(pid: number): number[] {
  const links = new Set(listListeningRows(pid).map(({ inode }) => `socket:[${inode}]`))
  return descriptorsOf(pid).flatMap(([fd, link]) => (links.has(link) ? [fd] : []))
}

/** What Neutron's agents put into the environment of what they start. */
export function processTagOf(pid: number): string | undefined {
  try {
    const words = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
    return words.find((word) => /^PROCESS_TAG=[\w.:-]{1,255}$/.test(word))?.slice(12)
  } catch {
    return undefined
  }
}
