/** Can namespaces of this host be seen, entered and given rules, and who has their ports? */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { listenersIn } from '../../host/port-listeners.ts'
import { processLink } from '../../host/process-facts.ts'
import { causeText } from '../../runtime/errors.ts'
import { mappings, textOf } from '../answer-fields.ts'
import type { Finding } from '../finding.ts'
import { hostFinding, wellFinding } from '../host-codes.ts'
import type { HostFacts } from '../host-facts.ts'
import { nftLibrary } from '../nft-library.ts'

/** Where distributions put libraries; Debian has one folder for each architecture. */
function systemLibraryFolders(): readonly string[] {
  const perArchitecture = readdirSync('/usr/lib', { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'))
    .map(({ name }) => join('/usr/lib', name))
  return ['/usr/lib64', '/usr/lib', '/lib64', '/lib', ...perArchitecture]
}

/** Whether libnftables is there, with which the proxy records its rules. */
export function checkLibrary({ libraryFolders, daemons }: HostFacts): readonly Finding[] {
  const folders = libraryFolders ?? systemLibraryFolders()
  if (folders.some((folder) => existsSync(join(folder, nftLibrary.file)))) {
    return [wellFinding('nftables', `${nftLibrary.file} is installed`)]
  }
  const isWanted = daemons.every(({ check }) => check?.options.get('intercept.enabled') !== false)
  const what = `${nftLibrary.file} is not installed`
  return isWanted
    ? [hostFinding('library_missing', 'nftables', what)]
    : [wellFinding('nftables', `${what}, and not needed`)]
}

/** Since then the kernel keeps the link header of a SYN. */
const oldestKernel = [5, 10] as const

/** Whether the kernel has what the proxy uses in namespaces. */
export function checkKernel({ kernel }: HostFacts): readonly Finding[] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(kernel) ?? []
  const [oldMajor, oldMinor] = oldestKernel
  const isOld = Number(major) < oldMajor || (Number(major) === oldMajor && Number(minor) < oldMinor)
  return isOld
    ? [hostFinding('kernel_old', 'kernel', `Linux ${kernel}`)]
    : [wellFinding('kernel', `Linux ${kernel}`)]
}

/** Whether the namespaces can be seen, and what is mounted there reaches the host and other containers. */
export function checkNamespaces(facts: HostFacts): readonly Finding[] {
  const { netnsFolder } = facts
  const mountTable = facts.mountTable ?? ownMountTable(facts)
  return [
    seenFinding(netnsFolder),
    ...(mountTable === undefined ? [] : propagationFindings(netnsFolder, mountTable)),
  ]
}

function seenFinding(folder: string): Finding {
  try {
    const names = readdirSync(folder)
    const known = names.filter((name) => /^(?:qrouter|qdhcp|ovnmeta)-/.test(name))
    const what = `${folder} has ${names.length} namespaces, ${known.length} of Neutron's`
    return wellFinding('namespaces', what)
  } catch (cause) {
    return hostFinding('namespaces_unseen', folder, causeText(cause))
  }
}

/** That of the proxy. @returns `undefined` where it has the mounts of the host: there nothing can be missed */
function ownMountTable({ daemons }: HostFacts): string | undefined {
  const pid = daemons.find(({ daemon }) => daemon === 'proxy')?.process?.pid
  if (pid === undefined) return '/proc/self/mountinfo'
  const host = processLink(1, 'ns/mnt')
  const isOfHost = host !== undefined && host === processLink(pid, 'ns/mnt')
  return isOfHost ? undefined : `/proc/${pid}/mountinfo`
}

/**
 * A proxy in a container, or in a unit that protects the file system, has mounts of its own. It sees what is mounted later
 * only where the host shares the mount.
 * @see proc_pid_mountinfo(5), mount_namespaces(7)
 */
function propagationFindings(folder: string, mountTable: string): readonly Finding[] {
  if (!existsSync(folder) || !existsSync(mountTable)) return []
  const mounts = readFileSync(mountTable, 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , , , point = '']) => `${folder}/`.startsWith(point === '/' ? '/' : `${point}/`))
  const nearest = mounts.reduce<readonly string[] | undefined>(
    (best, one) => ((one[4]?.length ?? 0) >= (best?.[4]?.length ?? 0) ? one : best),
    undefined,
  )
  const tags = nearest?.slice(6, nearest.indexOf('-')) ?? []
  if (nearest === undefined || tags.some((tag) => /^(?:shared|master):/.test(tag))) return []
  const what = `the mount ${nearest[4]} is not shared with the host`
  // One above the folder is the container's own file system, and sharing that of the host would change nothing in it.
  const remedy =
    nearest[4] === folder
      ? `"mount --make-rshared ${folder}" on the host, then restart the proxy.`
      : `In a container, mount ${folder} of the host with propagation (HostToContainer, rslave); in a unit, remove MountFlags=private. Then restart the proxy.`
  return [hostFinding('mount_not_shared', folder, what, remedy)]
}

const addressInUse = /\bEADDRINUSE\b/

/** Names the processes that the proxy may not see, since it lacks CAP_SYS_PTRACE. */
export function checkPorts({ daemons, netnsFolder }: HostFacts): readonly Finding[] {
  const { status = {} } = daemons.find(({ daemon }) => daemon === 'proxy') ?? {}
  // Where it could bind one of its addresses, the proxy holds a socket as well, and it visits: the remedy must not be to kill it.
  const ours = new Set(daemons.flatMap(({ process }) => process?.pid ?? []))
  return mappings(status['namespaces']).flatMap((one) => {
    const [netns, why] = [textOf(one['netns']), textOf(one['why'])]
    if (!addressInUse.test(why)) return []
    const [, port = '80'] = /:(\d+): EADDRINUSE/.exec(why) ?? []
    const inode = statSync(join(netnsFolder, netns), { throwIfNoEntry: false })?.ino
    const holders = inode === undefined ? [] : listenersIn(inode, Number(port), ours)
    if (holders.length === 0) return []
    const isHaproxy = holders.some((holder) => holder.includes('haproxy'))
    const what = `TCP port ${port} is held by process ${holders.join('; ')}`
    const pid = /^\d+/.exec(holders[0] ?? '')?.[0]
    return isHaproxy
      ? [hostFinding('haproxy_left', netns, what)]
      : [
          hostFinding(
            'foreign_listener',
            netns,
            what,
            `"kill ${pid}"; the proxy takes the port within 10 s.`,
          ),
        ]
  })
}
