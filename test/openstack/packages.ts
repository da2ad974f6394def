/** Which Debian packages is OpenStack made of here? The only list of them. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'

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

function isInstalled(name: string): boolean {
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Abbrev}', name], {
    encoding: 'utf8',
  })
  return stdout === 'ii '
}

function aptGet(...words: readonly string[]): boolean {
  const options = [
    '-q',
    '-y',
    '-o',
    'DPkg::Lock::Timeout=600',
    '-o',
    'Dpkg::Options::=--force-confdef',
    '-o',
    'Dpkg::Options::=--force-confold',
  ]
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  // What apt-get prints belongs to the progress, not to the results.
  return (
    spawnSync('apt-get', [...options, ...words], { env: environment, stdio: ['ignore', 2, 2] })
      .status === 0
  )
}

/**
 * Installs what is missing for all or some purposes, without starting any daemon and without letting cloud-init touch this machine.
 * @throws Error where apt-get is not to be had or fails
 */
export function installPackages(
  progress: (text: string) => void,
  purposes = Object.keys(packages) as readonly PackagePurpose[],
): void {
  const missing = purposes.flatMap((one) => packages[one]).filter((name) => !isInstalled(name))
  if (missing.length === 0) return
  progress(`installing ${missing.join(' ')}`)
  if (missing.includes('cloud-init') && !existsSync(cloudInitDisabled)) {
    mkdirSync('/etc/cloud', { recursive: true })
    writeFileSync(cloudInitDisabled, '')
  }
  const isOurPolicy = !existsSync(startPolicy)
  if (isOurPolicy) writeFileSync(startPolicy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const install = (): boolean => aptGet('install', '--no-install-recommends', ...missing)
    if (!install() && !(aptGet('update') && install())) {
      throw new Error(`apt-get could not install ${missing.join(' ')}`)
    }
  } finally {
    if (isOurPolicy) rmSync(startPolicy)
  }
}
