/** Which capabilities does the proxy need, and lack? */
import { ownCapabilities } from '../../lib/host/process-facts.ts'
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

/** Empty when this process has all that the rules need. */
export function missingCapabilities(rules: AttachmentRules): readonly Capability[] {
  const effective = ownCapabilities()
  return needed(rules).filter((name) => ((effective >> bits[name]) & 1n) === 0n)
}
