/** What do commands print with --json? Each prints one object, with the version of its form in `api`; `watch` prints one a line. */
import { z } from '../../files/schema.ts'
import { adminApiVersion } from '../../http/admin-api-version.ts'
import { shieldReport } from '../../shield/seen-row.ts'
import { agentStatus } from './agent-api.ts'
import { proxyStatus } from './proxy-api.ts'
import {
  count,
  explanation,
  finding,
  health,
  milliseconds,
  reason,
  requestEvent,
  scope,
} from './shared.ts'

const api = z.literal(adminApiVersion)
const daemon = z.enum(['proxy', 'agent'])

const healthPart = z.strictObject({ name: z.string(), ready: z.boolean(), detail: z.string() })

const daemonHealth = z.union([
  z.strictObject({
    daemon,
    reachable: z.literal(true),
    ...health.shape,
    parts: z.array(healthPart),
  }),
  z.strictObject({ daemon, reachable: z.literal(false), why: z.string() }),
])

const foundGuest = {
  scope,
  address: z.string(),
  macAddress: z.string(),
  instanceId: z.string(),
}

const hop = z.strictObject({
  hop: z.enum(['network', 'redirect', 'worker', 'agent', 'directory', 'signature', 'compute']),
  state: z.enum(['ok', 'failed', 'unused', 'unknown']),
  ms: milliseconds.optional(),
  detail: z.string().optional(),
})

const reasonRow = z.strictObject({
  status: count,
  publicText: z.string(),
  retryAfter: count.optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']),
  fault: z.enum(['guest', 'proxy', 'directory', 'compute', 'config', 'bug']),
  operatorAction: z.string(),
})

const check = z.strictObject({
  api,
  files: z.array(z.string()),
  options: z.array(
    z.strictObject({ path: z.string(), value: z.unknown(), text: z.string(), from: z.string() }),
  ),
  warnings: z.array(z.string()),
})

const explain = z.union([
  explanation.extend({ api }),
  z.strictObject({
    api,
    scopes: count,
    found: count,
    guests: z.array(z.strictObject({ ...foundGuest, explanation })),
  }),
])

const statusOf = <Status extends z.ZodType>(status: Status) =>
  z.strictObject({ health: daemonHealth, status: status.optional() })

/** By the name of the program and of the command. */
export const commandForms: Readonly<Record<string, z.ZodType>> = {
  'overlapd explain': explain,
  'overlapd test': z.strictObject({
    api,
    from: z.string(),
    target: z.string(),
    guest: z.strictObject(foundGuest).optional(),
    scope: scope.optional(),
    requestId: z.string().optional(),
    status: count.optional(),
    reason: reason.optional(),
    total: milliseconds.optional(),
    why: z.string().optional(),
    instanceId: z.string().optional(),
    hops: z.array(hop),
    verdict: z.enum([
      'own metadata',
      'answered',
      'refused',
      'not answered',
      'answered by something else',
      'WRONG METADATA',
    ]),
  }),
  'overlapd watch': requestEvent.extend({ api }),
  'overlapd status': z.strictObject({
    api,
    proxy: statusOf(proxyStatus),
    agent: statusOf(agentStatus),
  }),
  'overlapd health': z.strictObject({ api, daemons: z.array(daemonHealth) }),
  'overlapd audit': z.strictObject({
    api,
    findings: z.array(finding),
    notes: z.array(z.string()),
    checked: z.record(z.string(), z.record(z.string(), count)),
    unqueried: z.array(z.strictObject({ daemon, why: z.string() })),
    answers: z.array(z.looseObject({ scope, address: z.string() })).optional(),
  }),
  'overlapd doctor': z.strictObject({ api, findings: z.array(finding) }),
  'overlapd shield': shieldReport.extend({ api }),
  'overlapd reasons': z.strictObject({ api, reasons: z.record(reason, reasonRow) }),
  'overlapd demo': z.strictObject({ api, visits: z.array(z.looseObject({ verdict: z.string() })) }),
  'overlapd-agent check': check,
  'overlapd-agent health': z.union(daemonHealth.options.map((one) => one.extend({ api }))),
  'overlapd-agent explain': explain,
  'overlapd-proxy check': check,
  'overlapd-proxy health': z.union(daemonHealth.options.map((one) => one.extend({ api }))),
  'overlapd-proxy list': proxyStatus.extend({ api }),
  'overlapd-proxy explain': explain,
}
