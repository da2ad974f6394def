import type { Explanation } from '../../lib/operator/explanation.ts'
import type { Hono } from 'hono'
import { isMapping } from '../../lib/runtime/mapping.ts'
import { createAdminApp, type AdminAppOptions } from '../../lib/http/admin-app.ts'
import type { EventFeed } from '../../lib/http/event-feed.ts'
import { addAuditRoutes } from '../../lib/http/audit-routes.ts'
import { addEventsRoute } from '../../lib/http/events-route.ts'
import type { RequestEvent } from '../../lib/operator/request-event.ts'
import { readText } from '../../lib/wire/message-fields.ts'
import { parseInstanceId, parseNetworkId, parseRouterId } from '../../lib/identity/ids.ts'
import { parseIngressPort } from '../../lib/identity/ingress-port.ts'
import { parseIpAddress } from '../../lib/identity/ip-address.ts'
import { parseMacAddress } from '../../lib/identity/mac-address.ts'
import type { ShieldReport } from '../../lib/shield/seen-row.ts'
import type { Scope } from '../../lib/identity/scope.ts'
import type { AgentAuditReport, AuditRequest } from './auditor.ts'
import type { LookupKey } from '../resolve/resolution.ts'
import type { UnsealOrder } from '../shield/compose.ts'
import type { AgentStatus } from '../../lib/operator/api/agent-api.ts'

/** What the admin app needs of the agent. */
export interface AgentAdminOptions {
  readonly health: AdminAppOptions['health']
  readonly metrics: AdminAppOptions['metrics']
  readonly status: () => Promise<AgentStatus>
  readonly history: AdminAppOptions['history']
  readonly explainKey: (key: LookupKey) => Promise<Explanation>
  readonly explainRequest: (requestId: string) => Explanation | undefined
  readonly audit: (request: AuditRequest) => Promise<AgentAuditReport>
  readonly feed: EventFeed<RequestEvent>
  /** Which programs were seen in guests, and which shields they did not pass. */
  readonly shield: () => ShieldReport
  readonly unseal: (order: UnsealOrder) => boolean
}

const unknownRequest =
  'no such request among the latest decisions; of one that a worker sent straight to compute the proxy of its host knows: overlapd-proxy explain --request ID'

function scopeOf(query: Readonly<Record<string, string>>): Scope | undefined {
  const routerId = parseRouterId(query['router'])
  const networkId = parseNetworkId(query['network'])
  if (routerId !== undefined && networkId === undefined) return { kind: 'router', routerId }
  return networkId !== undefined && routerId === undefined
    ? { kind: 'network', networkId }
    : undefined
}

/** @returns what is wrong with the query, in words, when it is no lookup key */
function keyOf(query: Readonly<Record<string, string>>): LookupKey | string {
  const scope = scopeOf(query)
  if (scope === undefined) return 'give exactly one of router, network and request'
  const sourceIp = parseIpAddress(query['ip'])
  if (sourceIp === undefined) return 'ip is not one IP address'
  const sourceMac = parseMacAddress(query['mac'])
  if (query['mac'] !== undefined && sourceMac === undefined) return 'mac is no MAC address'
  const ingressPort = parseIngressPort(query['ingress_port']?.replace(/(?<=^.{11}).*/, ''))
  if (query['ingress_port'] !== undefined && ingressPort === undefined) {
    return 'ingress_port is neither the id of a port nor its first 11 characters nor "other"'
  }
  if (ingressPort !== undefined && scope.kind !== 'router') {
    return 'ingress_port goes with router alone'
  }
  return {
    scope,
    sourceIp,
    ...(sourceMac !== undefined && { sourceMac }),
    ...(ingressPort !== undefined && { ingressPort }),
  }
}

function scopeFrom(text: unknown): Scope | undefined {
  const [, kind, id] = typeof text === 'string' ? (/^(router|network)\/(.+)$/.exec(text) ?? []) : []
  return kind === undefined ? undefined : scopeOf({ [kind]: id ?? '' })
}

/** @returns what is wrong with the body, in words, when it requests nothing that can be done */
function auditRequestOf(body: unknown): AuditRequest | string {
  if (!isMapping(body)) return 'send a JSON object'
  const { scopes, answers } = body
  const withAnswers = answers === true
  if (scopes === undefined) return { scopes, withAnswers }
  if (!Array.isArray(scopes)) return 'scopes is no list'
  const parsed = scopes.map(scopeFrom)
  const known = parsed.filter((scope) => scope !== undefined)
  return known.length === parsed.length
    ? { scopes: known, withAnswers }
    : 'a scope is router/ID or network/ID'
}

/** @returns what is wrong with the body, in words, when it is no order */
function unsealOrderOf(body: unknown): UnsealOrder | string {
  if (!isMapping(body)) return 'send a JSON object'
  const instanceId = parseInstanceId(body['instance'])
  const who = readText(body['who'], 100)
  const why = readText(body['why'], 500)
  if (instanceId === undefined) return 'instance is no id'
  if (who === undefined || who === '') return 'who is no text of at most 100 characters'
  if (why === undefined || why === '') return 'why is no text of at most 500 characters'
  return { instanceId, who, why }
}

/** The agent's admin app: the common routes, `/explain`, `/shield`, `/unseal`, `/events` and `/audit`. */
export function createAgentAdminApp(options: AgentAdminOptions): Hono {
  const app = createAdminApp(options)
  app.get('/explain', async (context) => {
    const query = context.req.query()
    if (query['request'] !== undefined) {
      const explanation = options.explainRequest(query['request'])
      return explanation === undefined
        ? context.json({ message: unknownRequest }, 404)
        : context.json(explanation)
    }
    const key = keyOf(query)
    return typeof key === 'string'
      ? context.json({ message: key }, 400)
      : context.json(await options.explainKey(key))
  })
  app.get('/shield', (context) => context.json(options.shield()))
  app.post('/unseal', async (context) => {
    // Pages of other origins can send anything but this.
    if (context.req.header('content-type') !== 'application/json') {
      return context.json({ message: 'send application/json' }, 415)
    }
    const order = unsealOrderOf(await context.req.json().catch(() => undefined))
    return typeof order === 'string'
      ? context.json({ message: order }, 400)
      : context.json({ unsealed: options.unseal(order) })
  })
  addEventsRoute(app, options.feed)
  addAuditRoutes(app, {
    everything: { scopes: undefined, withAnswers: false },
    readRequest: auditRequestOf,
    audit: options.audit,
  })
  return app
}
