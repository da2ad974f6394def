/** How do haproxies that Neutron starts come together with the namespaces that are served? */
import type { Surroundings } from '../config/surroundings.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import type { AttachmentRules } from '../namespaces/plan-attachments.ts'
import { NamespaceGrants } from './namespace-grants.ts'

/** @param planAgain looks at the namespaces at once */
export function composeNamespaceGrants(
  { config, clock, logger }: Surroundings,
  listeners: Listeners,
  rules: AttachmentRules,
  planAgain: () => void,
): NamespaceGrants {
  return new NamespaceGrants({
    controlSocket: config.control.socket,
    listeners,
    rules,
    backlog: config.limits.backlog,
    clock,
    logger,
    planAgain,
  })
}
