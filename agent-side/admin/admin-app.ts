import type { Hono } from 'hono'
import { createAdminApp, type AdminAppOptions } from '../../lib/http/admin-app.ts'
import { parseNetworkId, parseRouterId } from '../../lib/ids.ts'
import { parseIpAddress } from '../../lib/ip-address.ts'
import { parseMacAddress } from '../../lib/mac-address.ts'
import type { Scope } from '../../lib/scope.ts'
import type { Explanation } from '../explain.ts'
import type { LookupKey } from '../resolve/resolution.ts'
import { statusPage } from './status-page.ts'
import type { AgentStatus } from './status.ts'

/** What the admin app asks the agent. */
export interface AgentAdminOptions {
  readonly readiness: AdminAppOptions['readiness']
  readonly metrics: AdminAppOptions['metrics']
  readonly status: () => Promise<AgentStatus>
  readonly explainKey: (key: LookupKey) => Promise<Explanation>
  readonly explainRequest: (requestId: string) => Explanation | undefined
}

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
  if (query['mac'] === undefined) return { scope, sourceIp }
  const sourceMac = parseMacAddress(query['mac'])
  return sourceMac === undefined ? 'mac is no MAC address' : { scope, sourceIp, sourceMac }
}

/** The agent's admin app: the common routes, `/explain` and a page for people at `/`. */
export function createAgentAdminApp(options: AgentAdminOptions): Hono {
  const app = createAdminApp(options)
  app.get('/explain', async (context) => {
    const query = context.req.query()
    if (query['request'] !== undefined) {
      const explanation = options.explainRequest(query['request'])
      return explanation === undefined
        ? context.json({ message: 'no such request among the latest decisions' }, 404)
        : context.json(explanation)
    }
    const key = keyOf(query)
    return typeof key === 'string'
      ? context.json({ message: key }, 400)
      : context.json(await options.explainKey(key))
  })
  app.get('/', async (context) => context.html(await statusPage(await options.status())))
  return app
}
