import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { EpochMilliseconds } from '../clock.ts'
import { causeText } from '../errors.ts'
import type { AdminAddress } from '../http/admin-client.ts'
import { readYamlFile } from '../yaml.ts'
import { askHealth } from './health-command.ts'
import { daemons, type Daemon } from './admin-sockets.ts'

/** What one look at the host found. */
export interface Finding {
  readonly level: 'ok' | 'warn' | 'fail'
  /** What was looked at and how it stands. */
  readonly what: string
  /** What the operator should do; absent where nothing is to be done. */
  readonly todo?: string
}

/** What checks may look at. */
export interface DoctorContext {
  readonly environment: Readonly<Record<string, string | undefined>>
  addressOf(daemon: Daemon): AdminAddress
  readonly configFiles: readonly string[]
  readonly netnsFolder: string
  readonly wallTime: EpochMilliseconds
}

/** One thing to look at. A check never changes anything. */
export interface DoctorCheck {
  readonly name: string
  run(context: DoctorContext): readonly Finding[] | Promise<readonly Finding[]>
}

async function daemonFinding(daemon: Daemon, address: AdminAddress): Promise<Finding> {
  const health = await askHealth(daemon, address)
  if (!health.reachable) {
    return {
      level: 'fail',
      what: health.why,
      todo: `Start overlapd-${daemon}, or name its socket with --${daemon}. Look at its log if it does not stay.`,
    }
  }
  if (health.ready) return { level: 'ok', what: `${daemon} is ready` }
  const missing = health.parts.filter((part) => !part.ready)
  return {
    level: 'warn',
    what: `${daemon} is not ready: ${missing.map((part) => `${part.name} (${part.detail})`).join(', ')}`,
    todo: 'Wait if it has just started; otherwise look at the part named.',
  }
}

function isIn(folders: readonly string[], name: string): boolean {
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function configFinding(file: string): Finding {
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
      todo: 'Correct the file; "overlapd-proxy check" and "overlapd-agent check" tell the rest.',
    }
  }
}

function netnsFinding(folder: string): Finding {
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
      todo: 'Expected before the first network reaches this host. In a container, mount it shared from the host.',
    }
  }
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
  { name: 'configuration', run: (context) => context.configFiles.map(configFinding) },
  {
    name: 'nftables',
    run({ environment }) {
      const folders = [...(environment['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
      return isIn(
        folders.filter((folder) => folder !== ''),
        'nft',
      )
        ? [{ level: 'ok', what: 'nft is installed' }]
        : [
            {
              level: 'warn',
              what: 'nft is not installed',
              todo: 'Install nftables, unless Neutron itself redirects 169.254.169.254 in the namespaces of this host.',
            },
          ]
    },
  },
  { name: 'namespaces', run: ({ netnsFolder }) => [netnsFinding(netnsFolder)] },
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
              todo: 'Set the clock and keep it with NTP: certificates and tokens depend on it.',
            },
          ]
    },
  },
]
