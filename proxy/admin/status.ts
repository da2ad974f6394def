import type { HealthReport } from '../../lib/operator/health.ts'
import type { CanaryState } from '../canary/canary.ts'
import type { InterceptionState } from '../interception/interception.ts'
import type { NamespaceStatus } from '../namespaces/listener-status.ts'
import type { RefusedNamespace } from '../namespaces/plan-attachments.ts'
import type { OvnProvisionStatus } from '../ovn-provision/ovn-provision.ts'
import type { ScopesLinkStatus } from '../served-scopes/scopes-link.ts'
import type { WorkerStatus } from '../supervisor/worker-pool.ts'
import type { AgentStatus } from './agent-status.ts'
import type { ForwardingStatus } from './forwarding-status.ts'

/** One namespace on `/status`. */
export interface ServedNamespace extends Omit<NamespaceStatus, 'key'> {
  /** How the redirection of the metadata address is, where there is one. */
  readonly interception?: InterceptionState
  /** Whether the canary was answered, where there is one. */
  readonly canary?: CanaryState
}

/** The body of `/status`. */
export interface ProxyStatus {
  readonly version: string
  /** Of Node: `v22.1.0`. */
  readonly node: string
  readonly pid: number
  readonly health: HealthReport
  readonly agents: readonly AgentStatus[]
  readonly forwarding: ForwardingStatus
  /** Which agents of this host receive what it serves. */
  readonly servedScopes: readonly ScopesLinkStatus[]
  /** Of this host, for agents of others. */
  readonly certificate?: { readonly ends: string; readonly refusedFiles?: string }
  readonly namespaces: readonly ServedNamespace[]
  readonly refused: readonly RefusedNamespace[]
  readonly workers: readonly Omit<WorkerStatus, 'forwarding'>[]
  /** Where OVN networks are provisioned. */
  readonly ovnProvision?: OvnProvisionStatus
}
