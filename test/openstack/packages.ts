/** Which Debian packages is OpenStack made of here? The only list of them. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import type { Count } from '../../lib/runtime/clock.ts'

const packages = {
  'databases and the message bus': ['mariadb-server', 'mariadb-client', 'rabbitmq-server'],
  'services behind uWSGI': ['uwsgi-core', 'uwsgi-plugin-python3', 'python3-pymysql'],
  Keystone: ['keystone'],
  "Neutron, its metadata agent and the agent's proxy": [
    'neutron-server',
    'neutron-metadata-agent',
    'haproxy',
    'iptables',
  ],
  Nova: ['nova-api', 'nova-conductor'],
  OVN: ['ovn-central', 'ovn-common', 'openvswitch-common'],
  guests: ['cloud-init', 'iproute2', 'nftables'],
} as const

/** What packages are for. */
export type PackagePurpose = keyof typeof packages

/** With this file cloud-init does nothing when the machine boots. */
const cloudInitDisabled = '/etc/cloud/cloud-init.disabled'
/** Debian asks this program before it starts a daemon. */
const startPolicy = '/usr/sbin/policy-rc.d'
/** How often an installation is begun. */
const attempts: Count = 3

function isInstalled(name: string): boolean {
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Abbrev}', name], {
    encoding: 'utf8',
  })
  return stdout === 'ii '
}

/** The end of what a program printed; an error at the end of thousands of lines says enough. */
const shownLines: Count = 30

/** @returns what it printed last when it failed, otherwise `undefined` */
function failureOf(program: string, words: readonly string[]): string | undefined {
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status === 0) return undefined
  const printed = `${stdout ?? ''}${stderr ?? ''}`.trim().split('\n').slice(-shownLines).join('\n')
  return error === undefined ? printed : `${String(error)}\n${printed}`
}

function aptGet(...words: readonly string[]): string | undefined {
  const options = [
    '-qq',
    '-y',
    '-o',
    'DPkg::Lock::Timeout=600',
    '-o',
    'Acquire::Retries=5',
    '-o',
    'Dpkg::Options::=--force-confdef',
    '-o',
    'Dpkg::Options::=--force-confold',
  ]
  return failureOf('apt-get', [...options, ...words])
}

/** @returns what apt-get said last when it could not, otherwise `undefined` */
function install(names: readonly string[], progress: (text: string) => void): string | undefined {
  const once = (): string | undefined => aptGet('install', '--no-install-recommends', ...names)
  let failure = once()
  for (let attempt = 1; failure !== undefined && attempt < attempts; attempt += 1) {
    progress(`apt-get failed, trying again with new package lists:\n${failure}`)
    // An installation that was cut off has to be ended before another one may begin.
    failureOf('dpkg', ['--configure', '-a', '--force-confdef', '--force-confold'])
    aptGet('update')
    failure = once()
  }
  return failure
}

/**
 * Installs what is missing for all or some purposes, without starting any daemon and without letting cloud-init touch this machine.
 * @throws Error where apt-get is not to be had or fails, with what it said last
 */
export function installPackages(
  progress: (text: string) => void,
  purposes = Object.keys(packages) as readonly PackagePurpose[],
): void {
  const missing = purposes.flatMap((one) => packages[one]).filter((name) => !isInstalled(name))
  if (missing.length === 0) return
  progress(`installing ${missing.join(' ')}, which can take some minutes`)
  if (missing.includes('cloud-init') && !existsSync(cloudInitDisabled)) {
    mkdirSync('/etc/cloud', { recursive: true })
    writeFileSync(cloudInitDisabled, '')
  }
  const isOurPolicy = !existsSync(startPolicy)
  if (isOurPolicy) writeFileSync(startPolicy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const failure = install(missing, progress)
    if (failure !== undefined) {
      throw new Error(`apt-get could not install ${missing.join(' ')}:\n${failure}`)
    }
  } finally {
    if (isOurPolicy) rmSync(startPolicy)
  }
}
