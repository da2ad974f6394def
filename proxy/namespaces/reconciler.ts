/** What happens at each look at the namespaces of the host, in which order? */
import { scopeText } from '../../lib/identity/scope.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { ProxyMetrics } from '../admin/metrics.ts'
import type { NamespaceGrants } from '../haproxy-shim/namespace-grants.ts'
import type { LeftoverTables } from '../interception/leftover-tables.ts'
import type { FoundNamespace } from '../netns/discover.ts'
import type { OvnProvision } from '../ovn-provision/ovn-provision.ts'
import type { Announcer } from '../served-scopes/announcer.ts'
import type { Listeners } from './listeners.ts'
import { planAttachments, type AttachmentRules, type RefusedNamespace } from './plan-attachments.ts'

/** Who acts on what was found. */
export interface ReconcilerOptions {
  readonly rules: AttachmentRules
  readonly haproxy: Pick<NamespaceGrants, 'claim'>
  readonly announcer: Pick<Announcer, 'announce'>
  readonly listeners: Pick<Listeners, 'apply'>
  readonly ovnProvision: Pick<OvnProvision, 'scanned'> | undefined
  readonly leftovers: Pick<LeftoverTables, 'clean'>
  readonly metrics: Pick<ProxyMetrics, 'reconcileSeconds'>
  readonly clock: Clock
  readonly logger: Logger
}

/** Keeps what is served in step with the namespaces that there are. */
export class Reconciler {
  readonly #options: ReconcilerOptions
  #refused: readonly RefusedNamespace[] = []
  #hasLooked = false

  constructor(options: ReconcilerOptions) {
    this.#options = options
  }

  /** Namespaces that are not served, since their names contradict each other. */
  get refused(): readonly RefusedNamespace[] {
    return this.#refused
  }

  /** False until the namespaces were looked at for the first time. */
  get hasLooked(): boolean {
    return this.#hasLooked
  }

  /** @param found every namespace that there is */
  reconcile(found: readonly FoundNamespace[]): void {
    const { rules, haproxy, announcer, listeners, ovnProvision, leftovers, metrics, clock } =
      this.#options
    const begin = clock.now()
    const plan = haproxy.claim(planAttachments(found, rules), found)
    this.#noteRefused(plan.refused)
    // Before a guest can come: the agent answers for reported scopes alone.
    announcer.announce(new Set(plan.attachments.map(({ identity }) => scopeText(identity.scope))))
    listeners.apply(plan.attachments)
    ovnProvision?.scanned(found)
    if (!this.#hasLooked) {
      void leftovers.clean(found, new Set(plan.attachments.map(({ key }) => key)))
    }
    this.#hasLooked = true
    metrics.reconcileSeconds.observe((clock.now() - begin) / 1_000)
  }

  /** A contradiction is logged when it appears, not at every look. */
  #noteRefused(now: readonly RefusedNamespace[]): void {
    const known = new Set(this.#refused.map(({ netns, why }) => `${netns} ${why}`))
    for (const { netns, why } of now) {
      if (!known.has(`${netns} ${why}`)) {
        this.#options.logger.error({ netns, why }, 'Namespace is not served')
      }
    }
    this.#refused = now
  }
}
