import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const unit = fileURLToPath(new URL('../../deploy/systemd/overlapd-proxy.service', import.meta.url))

/** What the proxy's unit leaves it: `sys_admin`, as setpriv(1) spells them. */
export function capabilitiesOfUnit(): string[] {
  const [, list = ''] = /^CapabilityBoundingSet=(.+)$/m.exec(readFileSync(unit, 'utf8')) ?? []
  return list.split(' ').map((name) => name.replace('CAP_', '').toLowerCase())
}
