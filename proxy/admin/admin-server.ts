/** What may an operator ask the running proxy? */
import { packageVersion } from '../../lib/runtime/package-version.ts'
import { createAdminApp, type PartReadiness } from '../../lib/http/admin-app.ts'
import { serveAdmin, type Serving } from '../../lib/http/serve.ts'
import type { Registry } from '../../lib/observe/metrics.ts'
import { agentStatuses, type AgentStatus } from './agent-status.ts'
import { proxyPage } from './page.ts'
import type { ProxyStatus } from './status.ts'
import type { RefusedNamespace } from '../namespaces/plan-attachments.ts'
import type { ProxyAuditor } from './audit.ts'
import type { ProxyConfig } from '../config/config.ts'
import type { Canary } from '../canary/canary.ts'
import { explainedRequest } from './explain-direct.ts'
import type { Interception } from '../interception/interception.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import type { AgentAddresses } from '../supervisor/agent-addresses.ts'
import type { WorkerPool } from '../supervisor/worker-pool.ts'
import type { OvnProvision } from '../ovn-provision/ovn-provision.ts'
import type { Announcer } from '../served-scopes/announcer.ts'

export interface ProxyAdminOptions {
  readonly config: Pick<ProxyConfig, 'admin' | 'agents'>
  readonly agentAddresses: Pick<AgentAddresses, 'certificate'>
  readonly listeners: Listeners
  readonly interception: Interception
  readonly canary?: Pick<Canary, 'stateOf'> | undefined
  readonly ovnProvision?: Pick<OvnProvision, 'status' | 'readiness'> | undefined
  readonly announcer: Pick<Announcer, 'status'>
  readonly pool: WorkerPool
  readonly auditor: Pick<ProxyAuditor, 'audit'>
  readonly registry: Registry
  readonly refused: () => readonly RefusedNamespace[]
  /** False until the namespaces were looked at for the first time. */
  readonly hasLooked: () => boolean
}

const unknownRequest =
  'no such request among the latest that went straight to compute; of all others the agent knows: overlapd-agent explain --request ID'

/** One that answers is enough, of several agents and for one of the workers. */
function agentsReadiness(agents: readonly AgentStatus[]): PartReadiness {
  const reachable = agents.filter(({ up }) => up > 0)
  const failures = agents.flatMap(({ agent, lastFailure }) =>
    lastFailure === undefined ? [] : `${agent}: ${lastFailure}`,
  )
  const ready = reachable.length > 0
  const counted = `${reachable.length} of ${agents.length} reachable`
  return { name: 'agents', ready, detail: ready ? counted : [counted, ...failures].join('; ') }
}

/** The admin listener of the proxy. */
export class ProxyAdmin {
  readonly #options: ProxyAdminOptions
  readonly #version = packageVersion()
  #serving: Serving | undefined

  constructor(options: ProxyAdminOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { config, auditor } = this.#options
    const app = createAdminApp({
      readiness: () => this.readiness(),
      metrics: () => this.#metrics(),
      status: () => this.status(),
    })
    app.get('/', async (context) => context.html(await proxyPage(this.status(), this.readiness())))
    app.get('/explain', async (context) => {
      const requestId = context.req.query('request') ?? ''
      const record = await this.#options.pool.findRequest(requestId)
      return record === undefined
        ? context.json({ message: unknownRequest }, 404)
        : context.json(explainedRequest(record))
    })
    app.get('/audit', async (context) => context.json(await auditor.audit()))
    this.#serving = await serveAdmin(app, config.admin)
  }

  async close(): Promise<void> {
    await this.#serving?.close()
  }

  status(): ProxyStatus {
    const { config, listeners, interception, canary, ovnProvision, pool, refused } = this.#options
    const namespaces = listeners.status().map(({ key, ...status }) => {
      const redirection = interception.stateOf(key)
      const bird = canary?.stateOf(key)
      const whys = [status.why, redirection?.why, bird?.why]
      const why = whys.filter((one) => one !== undefined).join('; ')
      return {
        ...status,
        ...(redirection && { interception: redirection.state }),
        ...(bird && { canary: bird.state }),
        ...(why !== '' && { why }),
      }
    })
    const workers = pool.status()
    const certificate = this.#certificate()
    return {
      version: this.#version,
      pid: process.pid,
      agents: agentStatuses(config, workers),
      servedScopes: this.#options.announcer.status,
      ...(certificate && { certificate }),
      namespaces,
      refused: refused(),
      workers,
      ...(ovnProvision && { ovnProvision: ovnProvision.status() }),
    }
  }

  #certificate(): ProxyStatus['certificate'] {
    const certificate = this.#options.agentAddresses.certificate
    if (certificate === undefined) return undefined
    const { expiresAt, refusal } = certificate
    const ends = new Date(expiresAt).toISOString()
    return { ends, ...(refusal !== undefined && { refusedFiles: refusal }) }
  }

  /** A namespace that cannot be served makes no other useless, so it is told and does not count. */
  readiness(): readonly PartReadiness[] {
    const { listeners, interception, ovnProvision, pool, hasLooked } = this.#options
    const states = { opening: 0, serving: 0, failed: 0 }
    listeners.count((_kind, state) => (states[state] += 1))
    const workers = pool.status()
    const ready = workers.filter(({ state }) => state === 'ready').length
    const applying = interception.count('applying')
    const notApplied = interception.count('failed')
    return [
      { name: 'workers', ready: ready > 0, detail: `${ready} of ${workers.length} ready` },
      agentsReadiness(agentStatuses(this.#options.config, workers)),
      {
        name: 'namespaces',
        ready: hasLooked() && states.opening === 0,
        detail: `${states.serving} serving, ${states.opening} opening, ${states.failed} failed`,
      },
      {
        name: 'interception',
        ready: applying === 0,
        detail: `${interception.count('applied')} applied, ${applying} applying, ${notApplied} failed`,
      },
      ...(ovnProvision === undefined ? [] : [ovnProvision.readiness()]),
    ]
  }

  async #metrics(): Promise<{ contentType: string; text: string }> {
    const { registry, pool } = this.#options
    const workers = await pool.metrics()
    const [own, theirs] = await Promise.all([registry.metrics(), workers.metrics()])
    return { contentType: registry.contentType, text: `${own.trimEnd()}\n${theirs}` }
  }
}
