/** How do planner and provisioner come together, and how do they stand? */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'
import {
  partHealth,
  problemOf,
  reserveProblem,
  someOf,
  type PartHealth,
} from '../../lib/operator/health.ts'
import type { Logger, LogLevel } from '../../lib/runtime/log.ts'
import type { FoundNamespace } from '../netns/discover.ts'
import { whyNamesStayHere } from '../netns/named-namespace.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import type { NamespaceWindow } from '../netns/window.ts'
import { workerAccount } from '../privileges/accounts.ts'
import { plannerConfig, plannerTlsFiles, type OvnProvisionConfig } from './config.ts'
import { PlannerProcess } from './planner-process.ts'
import { Provisioner, type ProvisionState } from './provisioner.ts'

type OvnProvisionStatus = NonNullable<ProxyStatus['ovnProvision']>

export interface OvnProvisionOptions {
  readonly config: OvnProvisionConfig
  readonly logLevel: LogLevel
  readonly window: NamespaceWindow
  /** `/run/netns` */
  readonly folder: string
  readonly fullPass: Milliseconds
  readonly clock: Clock
  readonly logger: Logger
  readonly onChanged: (key: NamespaceKey) => void
  readonly onProvisioned: (span: Milliseconds) => void
  readonly onFailure: () => void
  readonly onPlannerRestart: () => void
}

const provisionStates: readonly ProvisionState[] = ['pending', 'done', 'failed']
/** Ports and networks that concern one host are few. */
const plannerOptions: readonly string[] = ['--max-old-space-size=512']

/** Makes the metadata namespaces of OVN networks and takes them away. */
export class OvnProvision {
  readonly #provisioner: Provisioner
  readonly #planner: PlannerProcess
  readonly #whyNot: string | undefined
  readonly #logger: Logger

  constructor(options: OvnProvisionOptions) {
    const { config, window, folder, clock, logger, fullPass, logLevel } = options
    this.#logger = logger
    this.#whyNot = whyNamesStayHere(folder)
    this.#provisioner = new Provisioner({
      place: { window, folder },
      hostHasIpv6: hostHasIpv6(),
      clock,
      logger,
      fullPass,
      onCables: (networkIds, present) => this.#planner.reportCables(networkIds, present),
      onChanged: options.onChanged,
      onProvisioned: options.onProvisioned,
      onFailure: options.onFailure,
    })
    this.#planner = new PlannerProcess({
      program: {
        script: fileURLToPath(new URL('planner/main.js', import.meta.url)),
        nodeOptions: plannerOptions,
        account: workerAccount(config),
      },
      config: plannerConfig(config, logLevel),
      tls: plannerTlsFiles(config),
      clock,
      logger,
      onComplete: (networks) => this.#provisioner.complete(networks),
      onChange: (put, gone) => this.#provisioner.change(put, gone),
      cables: () => this.#provisioner.cables(),
      onRestart: options.onPlannerRestart,
    })
  }

  start(): void {
    if (this.#whyNot !== undefined) {
      this.#logger.error({ why: this.#whyNot }, 'Metadata namespaces are not provisioned')
      return
    }
    this.#planner.start()
    this.#provisioner.start()
  }

  /** Ends both and leaves everything as it is. */
  close(): void {
    this.#planner.close()
    this.#provisioner.close()
  }

  scanned(found: readonly FoundNamespace[]): void {
    this.#provisioner.scanned(found)
  }

  count(visit: (state: ProvisionState, count: number) => void): void {
    for (const state of provisionStates) visit(state, this.#provisioner.count(state))
  }

  /** The numbers of the processes that it started. */
  get pids(): readonly number[] {
    const { pid } = this.#planner
    return pid === undefined ? [] : [pid]
  }

  get isSouthboundLive(): boolean {
    return this.#planner.report?.isSouthboundLive ?? false
  }

  get isLocalLive(): boolean {
    return this.#planner.report?.isLocalLive ?? false
  }

  status(): OvnProvisionStatus {
    const networks = { pending: 0, done: 0, failed: 0 }
    this.count((state, count) => (networks[state] = count))
    return {
      ...this.#planner.report,
      ...(this.#whyNot !== undefined && { trouble: this.#whyNot }),
      networks,
      planner: { pid: this.#planner.pid },
      troubles: this.#provisioner.troubles(),
    }
  }

  /** Ready once all that is known to be needed was tried; a lost database makes nothing useless that is there. */
  health(): PartHealth {
    const { networks, southbound, trouble, troubles } = this.status()
    const { done, pending, failed } = networks
    const why =
      trouble ?? (this.#planner.report?.isSouthboundLive === true ? undefined : southbound)
    const plan = this.#provisioner.hasPlan
      ? `${done} provisioned, ${pending} pending, ${failed} failed`
      : 'no plan yet'
    const detail = why === undefined ? plan : `${plan}; ${why}`
    const isStarting = !this.#provisioner.isSettled
    const failures = someOf(troubles.map(({ netns, why: cause }) => `${netns}: ${cause}`))
    return partHealth(
      'ovn provisioning',
      detail,
      problemOf('starting', [isStarting ? 1 : 0, 1], detail),
      problemOf('provision_failed', [failed, done + pending + failed], failures),
      reserveProblem('database_away', [isStarting || why === undefined ? 0 : 1, 1], why ?? ''),
    )
  }
}

/** @see neutron/common/ipv6_utils.py is_enabled_and_bind_by_default */
function hostHasIpv6(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', 'utf8').trim() === '0'
  } catch {
    return false
  }
}
