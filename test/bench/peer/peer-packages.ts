import { existsSync } from 'node:fs'
import { installPackages, type PackagePurpose } from '../../openstack/packages.ts'

const purposes: readonly PackagePurpose[] = [
  'databases and the message bus',
  'services behind uWSGI',
  "Neutron, its metadata agent and the agent's proxy",
  'Nova',
]

/** Installs what the peer is made of, where it is missing. @returns why it cannot run here, or `undefined` where it can */
export function reasonAgainstPackages(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces need Linux'
  if (process.getuid?.() !== 0) return 'network namespaces and packages need root'
  if (!existsSync('/etc/debian_version')) return "the peer comes from Debian's packages"
  try {
    installPackages((text) => process.stderr.write(`bench: ${text}\n`), purposes)
  } catch (cause) {
    return String(cause)
  }
  return undefined
}
