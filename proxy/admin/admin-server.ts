/** What may an operator query of the running proxy? */
import { isMapping } from '../../lib/runtime/mapping.ts'
import { packageVersion } from '../../lib/runtime/package-version.ts'
import { createAdminApp } from '../../lib/http/admin-app.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import type { EventFeed } from '../../lib/http/event-feed.ts'
import { addAuditRoutes } from '../../lib/http/audit-routes.ts'
import { addEventsRoute } from '../../lib/http/events-route.ts'
import type { RequestEvent } from '../../lib/operator/request-event.ts'
import { serveAdmin, type Serving } from '../../lib/http/serve.ts'
import type { Registry } from '../../lib/observe/metrics.ts'
import type { MinuteHistory } from '../../lib/observe/minute-history.ts'
import { agentStatuses } from './agent-status.ts'
import { forwardingStatus } from './forwarding-status.ts'
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'
import type { RefusedNamespace } from '../namespaces/plan-attachments.ts'
import type { ProxyAuditor } from './audit.ts'
import type { ProxyConfig } from '../config/config.ts'
import type { Canary } from '../canary/canary.ts'
import { explainedRequest } from './explain-request.ts'
import type { Interception } from '../interception/interception.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import type { AgentAddresses } from '../supervisor/agent-addresses.ts'
import type { WorkerPool } from '../supervisor/worker-pool.ts'
import type { OvnProvision } from '../ovn-provision/ovn-provision.ts'
import type { Announcer } from '../served-scopes/announcer.ts'

export interface ProxyAdminOptions {
  readonly config: Pick<ProxyConfig, 'admin' | 'agents' | 'forwarding'>
  readonly agentAddresses: Pick<AgentAddresses, 'certificate'>
  readonly listeners: Listeners
  readonly interception: Interception
  readonly canary?: Pick<Canary, 'stateOf'> | undefined
  readonly ovnProvision?: Pick<OvnProvision, 'status'> | undefined
  readonly announcer: Pick<Announcer, 'status'>
  readonly pool: WorkerPool
  readonly auditor: Pick<ProxyAuditor, 'audit'>
  readonly registry: Registry
  readonly feed: EventFeed<RequestEvent>
  readonly history: MinuteHistory
  readonly refused: () => readonly RefusedNamespace[]
  readonly health: () => HealthReport
}

const unknownRequest =
  'no such request among the latest of the workers; the agent remembers its own: overlapd-agent explain --request ID'

/** The admin listener of the proxy. */
export class ProxyAdmin {
  readonly #options: ProxyAdminOptions
  readonly #version = packageVersion()
  #serving: Serving | undefined

  constructor(options: ProxyAdminOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { config, auditor, pool } = this.#options
    const app = createAdminApp({
      health: async () => {
        await pool.noteServed()
        return this.#options.health()
      },
      metrics: () => this.#metrics(),
      status: async () => {
        await pool.noteServed()
        return this.status()
      },
      history: () => this.#options.history.minutes,
    })
    this.#options.history.start()
    app.get('/explain', async (context) => {
      const requestId = context.req.query('request') ?? ''
      const record = await pool.findRequest(requestId)
      return record === undefined
        ? context.json({ message: unknownRequest }, 404)
        : context.json(explainedRequest(record))
    })
    addEventsRoute(app, this.#options.feed)
    addAuditRoutes(app, {
      everything: {},
      readRequest: (body) => (isMapping(body) ? {} : 'send a JSON object'),
      audit: () => auditor.audit(),
    })
    this.#serving = await serveAdmin(app, config.admin)
  }

  async close(): Promise<void> {
    // A stream has no end of its own.
    this.#options.feed.close()
    this.#options.history.close()
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
      node: process.version,
      pid: process.pid,
      health: this.#options.health(),
      agents: agentStatuses(config, workers),
      forwarding: forwardingStatus(config, workers),
      servedScopes: this.#options.announcer.status,
      ...(certificate && { certificate }),
      namespaces,
      refused: refused(),
      workers: workers.map(({ forwarding: _summedUp, ...worker }) => worker),
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

  async #metrics(): Promise<{ contentType: string; text: string }> {
    const { registry, pool } = this.#options
    const workers = await pool.metrics()
    const [own, theirs] = await Promise.all([registry.metrics(), workers.metrics()])
    return { contentType: registry.contentType, text: `${own.trimEnd()}\n${theirs}` }
  }
}
