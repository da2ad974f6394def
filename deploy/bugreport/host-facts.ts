/** On what kind of host do the daemons run? */
import { readFileSync } from 'node:fs'
import { arch, cpus, freemem, release, totalmem, uptime, version } from 'node:os'
import { packageVersion } from '../../lib/runtime/package-version.ts'

/** Settings of the kernel on which serving depends. */
const sysctls = [
  'net/core/somaxconn',
  'net/ipv4/tcp_syncookies',
  'net/ipv4/tcp_max_syn_backlog',
  'net/ipv6/conf/all/disable_ipv6',
  'net/netfilter/nf_conntrack_count',
  'net/netfilter/nf_conntrack_max',
  'fs/file-nr',
  'user/max_net_namespaces',
  'kernel/unprivileged_userns_clone',
] as const

const modules =
  /^(?:nf_|nft_|nfnetlink|x_tables|ip_tables|openvswitch|geneve|vxlan|veth|br_netfilter)/

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}

/** Versions, kernel, memory. Nothing of a tenant. */
export function hostFacts(): unknown {
  const system = /^PRETTY_NAME="?([^"\n]*)/m.exec(readOr('/etc/os-release', ''))?.[1]
  const loaded = readOr('/proc/modules', '')
    .split('\n')
    .filter((line) => modules.test(line))
  return {
    overlapd: packageVersion(),
    node: process.versions,
    system: system ?? 'unknown',
    kernel: { release: release(), version: version(), architecture: arch() },
    uptime: Math.round(uptime()),
    processors: cpus().length,
    memory: { total: totalmem(), free: freemem() },
    sysctl: Object.fromEntries(
      sysctls.map((name) => [name, readOr(`/proc/sys/${name}`, '(not there)').trim()]),
    ),
    modules: loaded.map((line) => line.split(' ')[0]),
  }
}
