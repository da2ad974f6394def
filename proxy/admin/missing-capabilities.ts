/** Which capabilities does the proxy need, and lack? */
import { readFileSync } from 'node:fs'
import type { AttachmentRules } from '../namespaces/plan-attachments.ts'

/** @see capabilities(7), linux/capability.h */
const bits = { CAP_NET_BIND_SERVICE: 10n, CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n } as const
type Capability = keyof typeof bits

function needed({ intercept, kinds, mappings }: AttachmentRules): readonly Capability[] {
  const bindsPort80 = kinds.some((kind) => kind !== 'router')
  const redirects = intercept || mappings.some((mapping) => mapping.intercept === true)
  return [
    'CAP_SYS_ADMIN',
    ...(redirects ? (['CAP_NET_ADMIN'] as const) : []),
    ...(bindsPort80 ? (['CAP_NET_BIND_SERVICE'] as const) : []),
  ]
}

/** @param statusFile for tests */
export function missingCapabilities(
  rules: AttachmentRules,
  statusFile = '/proc/self/status',
): readonly Capability[] {
  const [, text = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync(statusFile, 'latin1')) ?? []
  const effective = BigInt(`0x${text}`)
  return needed(rules).filter((name) => ((effective >> bits[name]) & 1n) === 0n)
}
