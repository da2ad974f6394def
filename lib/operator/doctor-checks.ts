import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EpochMilliseconds } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import type { AdminAddress } from '../http/admin-client.ts'
import { readYamlFile } from '../files/yaml.ts'
import { askHealth } from './health-command.ts'
import { nftLibrary } from './nft-library.ts'
import { daemons } from '../cli/admin-sockets.ts'
import type { Daemon } from '../config/defaults.ts'
import { askFence } from './fence-findings.ts'
import type { Looked } from './finding.ts'

/** What checks may look at. */
export interface DoctorContext {
  addressOf(daemon: Daemon): AdminAddress
  readonly configFiles: readonly string[]
  readonly netnsFolder: string
  /** @default /proc/self/mountinfo */
  readonly mountTable?: string
  /** @default where distributions put libraries */
  readonly libraryFolders?: readonly string[]
  readonly wallTime: EpochMilliseconds
}

/** One thing to look at. A check never changes anything. */
export interface DoctorCheck {
  readonly name: string
  run(context: DoctorContext): readonly Looked[] | Promise<readonly Looked[]>
}

async function daemonFinding(daemon: Daemon, address: AdminAddress): Promise<Looked> {
  const health = await askHealth(daemon, address)
  if (!health.reachable) {
    return {
      level: 'fail',
      what: health.why,
      remedy: `Start overlapd-${daemon}, or name its socket with --${daemon}. Look at its log if it does not stay.`,
    }
  }
  if (health.ready) return { level: 'ok', what: `${daemon} is ready` }
  const missing = health.parts.filter((part) => !part.ready)
  return {
    level: 'warn',
    what: `${daemon} is not ready: ${missing.map((part) => `${part.name} (${part.detail})`).join(', ')}`,
    remedy: 'Wait if it has just started; otherwise look at the part named.',
  }
}

function configFinding(file: string): Looked {
  if (!existsSync(file)) {
    return { level: 'ok', what: `${file} does not exist; defaults and the environment apply` }
  }
  try {
    readYamlFile(file)
    return { level: 'ok', what: `${file} can be read` }
  } catch (cause) {
    return {
      level: 'fail',
      what: causeText(cause),
      remedy: 'Correct the file; "overlapd-proxy check" and "overlapd-agent check" tell the rest.',
    }
  }
}

function netnsFinding(folder: string): Looked {
  try {
    const names = readdirSync(folder)
    const known = names.filter((name) => /^(?:qrouter|qdhcp|ovnmeta)-/.test(name))
    return {
      level: 'ok',
      what: `${folder} has ${names.length} namespaces, ${known.length} of Neutron's`,
    }
  } catch (cause) {
    return {
      level: 'warn',
      what: `No namespaces can be seen: ${causeText(cause)}`,
      remedy:
        'Expected before the first network reaches this host. In a container, mount it shared from the host.',
    }
  }
}

/** Where distributions put libraries; Debian has one folder for each architecture. */
function systemLibraryFolders(): readonly string[] {
  const perArchitecture = readdirSync('/usr/lib', { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'))
    .map(({ name }) => join('/usr/lib', name))
  return ['/usr/lib64', '/usr/lib', '/lib64', '/lib', ...perArchitecture]
}

function nftablesFinding(folders: readonly string[]): Looked {
  if (folders.some((folder) => existsSync(join(folder, nftLibrary.file)))) {
    return { level: 'ok', what: `${nftLibrary.file} is installed` }
  }
  return {
    level: 'warn',
    what: `${nftLibrary.file} is not installed`,
    remedy: `${nftLibrary.remedy} Not needed where Neutron itself redirects 169.254.169.254 (intercept.enabled: false).`,
  }
}

/**
 * A proxy in a container, or in a unit that protects the file system, has mounts of its own. It sees what is mounted later
 * only where the host shares the mount.
 * @see proc_pid_mountinfo(5), mount_namespaces(7)
 */
function propagationFindings(folder: string, mountTable: string): readonly Looked[] {
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
  return [
    {
      level: 'warn',
      what: `the mount ${nearest[4]} is not shared: a proxy in a container or a protected unit would not see namespaces that are made later`,
      remedy: `mount --make-shared ${folder}, before the proxy starts; nothing, if it runs without mounts of its own.`,
    },
  ]
}

/** Before this the software did not exist: a clock that says so breaks TLS, caches and logs. */
const earliestSaneTime: EpochMilliseconds = Date.UTC(2025, 0, 1)
const latestSaneTime: EpochMilliseconds = Date.UTC(2100, 0, 1)

/** What `overlapd doctor` looks at, in this order. Add a check by adding a row. */
export const doctorChecks: readonly DoctorCheck[] = [
  {
    name: 'daemons',
    run: (context) =>
      Promise.all(daemons.map((daemon) => daemonFinding(daemon, context.addressOf(daemon)))),
  },
  { name: 'fence', run: (context) => askFence(context.addressOf('agent')) },
  { name: 'configuration', run: (context) => context.configFiles.map(configFinding) },
  {
    name: 'nftables',
    run: ({ libraryFolders = systemLibraryFolders() }) => [nftablesFinding(libraryFolders)],
  },
  {
    name: 'namespaces',
    run: ({ netnsFolder, mountTable = '/proc/self/mountinfo' }) => [
      netnsFinding(netnsFolder),
      ...propagationFindings(netnsFolder, mountTable),
    ],
  },
  {
    name: 'clock',
    run({ wallTime }) {
      const shown = Number.isFinite(wallTime) ? new Date(wallTime).toISOString() : 'nothing'
      return wallTime > earliestSaneTime && wallTime < latestSaneTime
        ? [{ level: 'ok', what: `the clock says ${shown}` }]
        : [
            {
              level: 'fail',
              what: `the clock says ${shown}`,
              remedy: 'Set the clock and keep it with NTP: certificates and tokens depend on it.',
            },
          ]
    },
  },
]
