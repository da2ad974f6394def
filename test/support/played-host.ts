/** How do tests of the page get a host in a given state? Both admin apps as they are, on sockets of their own, with made statuses. */
import { join } from 'node:path'
import { createAgentAdminApp } from '../../agent-side/admin/admin-app.ts'
import type { AgentAuditReport } from '../../agent-side/admin/auditor.ts'
import type { AgentStatus } from '../../lib/operator/api/agent-api.ts'
import type { AdminAddresses } from '../../deploy/page/host.ts'
import { createAdminApp } from '../../lib/http/admin-app.ts'
import { EventFeed } from '../../lib/http/event-feed.ts'
import { addEventsRoute } from '../../lib/http/events-route.ts'
import { serveApp } from '../../lib/http/serve.ts'
import type { Minute } from '../../lib/observe/minute-history.ts'
import {
  healthReport,
  partHealth,
  problemOf,
  type HealthReport,
  type PartProblem,
} from '../../lib/operator/health.ts'
import type { RequestEvent } from '../../lib/operator/request-event.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { isReasonCode } from '../../lib/runtime/reason-codes.ts'
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'

/** A uuid that is easy to tell apart. */
export function madeId(kind: number, number: number): string {
  const hex = (value: number, length: number): string => value.toString(16).padStart(length, '0')
  return `${hex(kind * 0x1000_0000 + number * 7919, 8)}-0000-4000-8000-${hex(number, 12)}`
}

type Answer = NonNullable<AgentAuditReport['answers']>[number]

/** What a test wants of a host. */
export interface PlayedState {
  /** Networks in all, of which each third has no router; each network has the same addresses. */
  readonly networks: number
  readonly guestsPerNetwork: number
  readonly computeProblem?: PartProblem | undefined
  readonly namespaceProblem?: PartProblem | undefined
  readonly refusals?: readonly RequestEvent[]
  readonly requests?: readonly RequestEvent[]
  readonly minutes?: readonly Minute[]
  /** Instead of ids: what a tenant may write. */
  readonly hostileName?: string
  readonly isServed?: boolean
}

/** Both daemons, being played. */
export interface PlayedHost {
  readonly addresses: AdminAddresses
  /** Whether the page reads the agent's stream. */
  isWatched(): boolean
  publish(event: RequestEvent): void
  close(): Promise<void>
}

const began = '2026-01-02T10:00:00.000Z'

function scopeOf(number: number): string {
  return number % 3 === 2 ? `network/${madeId(2, number)}` : `router/${madeId(1, number)}`
}

/** Guests whose networks all have the same addresses. */
export function playedAnswers(state: PlayedState): readonly Answer[] {
  const { networks, guestsPerNetwork, hostileName } = state
  return Array.from({ length: networks * guestsPerNetwork }, (_, number) => {
    const network = number % networks
    const guest = Math.floor(number / networks)
    return {
      scope: scopeOf(network),
      networkId: madeId(2, network),
      address: `10.0.${Math.floor(guest / 200)}.${10 + (guest % 200)}`,
      macAddress: `fa:16:3e:00:${network.toString(16).padStart(2, '0').slice(-2)}:${guest.toString(16).padStart(2, '0').slice(-2)}`,
      instanceId: hostileName ?? madeId(3, number),
    }
  })
}

function proxyStatus(state: PlayedState, health: HealthReport): ProxyStatus {
  const { networks, namespaceProblem, hostileName } = state
  const namespaces = Array.from(
    { length: networks },
    (_, number): ProxyStatus['namespaces'][number] => {
      const scope = scopeOf(number)
      const isRouter = scope.startsWith('router/')
      const isFailed = number === 0 && namespaceProblem !== undefined
      return {
        netns: hostileName ?? `${isRouter ? 'qrouter' : 'qdhcp'}-${scope.split('/')[1]}`,
        kind: isRouter ? 'router' : 'network',
        scope,
        flavour: 'ml2',
        state: isFailed ? 'failed' : 'serving',
        listeners: isFailed ? [] : [isRouter ? '[::]:9697' : '169.254.169.254:80'],
        ...(isRouter && { interception: isFailed ? 'failed' : 'applied' }),
        ...(isFailed && { why: namespaceProblem.what }),
      }
    },
  )
  return {
    version: '0.1.0',
    node: process.version,
    pid: 4711,
    health,
    agents: [{ agent: '/run/overlapd/agent.sock', up: 4, down: 0, answering: 4 }],
    forwarding: { mode: 'auto', straight: 4, throughAgent: 0 },
    servedScopes: [],
    namespaces,
    refused: [],
    workers: [1, 2, 3, 4].map((pid) => ({
      pid,
      state: 'ready',
      since: began,
      restarts: 0,
      agents: [],
    })),
  }
}

function agentStatus(state: PlayedState, health: HealthReport): AgentStatus {
  const { computeProblem, refusals = [] } = state
  const isDown = computeProblem?.code === 'no_compute'
  return {
    version: '0.1.0',
    node: process.version,
    pid: 4712,
    uptime: 86_000,
    memory: { rss: 90_000_000, heapUsed: 40_000_000 },
    health,
    directory: { kind: 'neutron-rpc', ready: true, detail: 'Copy of all ports, 3 s old' },
    sourceMac: 'prefer',
    listeners: [{ socket: '/run/overlapd/agent.sock', kind: 'overlapd', connections: 4 }],
    upstreams: [
      {
        url: 'http://192.0.2.10:8775',
        state: isDown ? 'down' : 'up',
        inFlight: 0,
        answers: 1_200,
        failures: isDown ? 40 : 0,
        secret: 'current',
        refusesSecrets: computeProblem?.code === 'secret_refused',
      },
    ],
    cache: { found: 3, refused: 0, openQueries: 0 },
    compute: { limit: 64, running: 0, waiting: 0 },
    rateLimit: { enabled: false, dryRun: false, offenders: [] },
    recentRefusals: refusals.map(
      ({ at, requestId, outcome, status, reason, scope, sourceIp, target, span }) => ({
        at,
        requestId,
        outcome,
        status,
        target,
        span,
        ...(isReasonCode(reason) && { reason }),
        ...(scope !== undefined && { scope }),
        ...(sourceIp !== undefined && { sourceIp }),
      }),
    ),
  }
}

/** Serves both admin apps in that state. @param folder for their sockets */
export async function playHost(folder: string, state: PlayedState): Promise<PlayedHost> {
  const { computeProblem, namespaceProblem, minutes = [], requests = [], isServed } = state
  const served = isServed === true ? { guest: '2026-01-02T11:59:58.000Z' } : {}
  const since = (): string => '2026-01-02T11:40:12.000Z'
  const secretPart = computeProblem?.code === 'secret_refused'
  const proxyHealth = healthReport(
    [
      partHealth('namespaces', `${state.networks} serving`, namespaceProblem),
      partHealth('workers', '4 of 4 ready'),
      partHealth('agents', '1 of 1 reachable'),
    ],
    served,
    since,
  )
  const agentHealth = healthReport(
    [
      partHealth('directory', 'Copy of all ports, 3 s old'),
      partHealth('compute', '1 of 1 endpoints answer', secretPart ? undefined : computeProblem),
      partHealth(
        'secret',
        `accepted by ${secretPart ? 0 : 1} of 1 endpoints`,
        secretPart ? computeProblem : undefined,
      ),
    ],
    served,
    since,
  )
  const metrics = () => Promise.resolve({ contentType: 'text/plain', text: '' })
  const history = () => minutes
  const feed = new EventFeed<RequestEvent>({ clock: systemClock })
  const proxyFeed = new EventFeed<RequestEvent>({ clock: systemClock })
  const proxyApp = createAdminApp({
    health: () => proxyHealth,
    metrics,
    status: () => proxyStatus(state, proxyHealth),
    history,
  })
  addEventsRoute(proxyApp, proxyFeed)
  const answers = playedAnswers(state)
  const agentApp = createAgentAdminApp({
    health: () => agentHealth,
    metrics,
    history,
    status: () => Promise.resolve(agentStatus(state, agentHealth)),
    unseal: () => false,
    shield: () => ({ now: 0, policy: { loadedAt: 0, rules: 0, unmatched: [] }, seen: [] }),
    explainKey: (key) =>
      Promise.resolve({
        steps: [{ step: 'ports', detail: { sourceIp: key.sourceIp }, ms: 0.4 }],
        verdict: { kind: 'found', instanceId: state.hostileName ?? madeId(3, 1) },
      }),
    explainRequest(requestId) {
      const event = [...requests, ...(state.refusals ?? [])].find(
        (one) => one.requestId === requestId,
      )
      if (event === undefined) return undefined
      const { target, status, reason, instanceId } = event
      return {
        steps: [
          { step: 'received', detail: { target, sourceIp: event.sourceIp }, ms: 0 },
          { step: 'answered', detail: { status, reason }, ms: event.span },
        ],
        verdict: { kind: reason === undefined ? 'found' : 'refused', reason, instanceId },
      }
    },
    audit: () =>
      Promise.resolve({ checked: { scopes: state.networks }, notes: [], findings: [], answers }),
    feed,
  })
  const addresses = {
    proxy: join(folder, 'proxy-admin.sock'),
    agent: join(folder, 'agent-admin.sock'),
  }
  const servings = [
    await serveApp({ app: proxyApp, listen: [{ socket: addresses.proxy }], drainLimit: 200 }),
    await serveApp({ app: agentApp, listen: [{ socket: addresses.agent }], drainLimit: 200 }),
  ]
  return {
    addresses,
    isWatched: () => feed.isWatched,
    publish: (event) => feed.publish(event),
    async close() {
      feed.close()
      proxyFeed.close()
      await Promise.all(servings.map((serving) => serving.close()))
    },
  }
}

/** A request of a guest of a played host. */
export function playedRequest(number: number, changes: Partial<RequestEvent> = {}): RequestEvent {
  return {
    at: new Date(Date.UTC(2026, 0, 2, 12, 0, 0) + number * 700).toISOString(),
    requestId: `req-${madeId(7, number)}`,
    method: 'GET',
    target: number % 2 === 0 ? '/openstack/latest/meta_data.json' : '/latest/meta-data/instance-id',
    scope: scopeOf(number % 3),
    sourceIp: '10.0.0.10',
    networkId: madeId(2, number % 3),
    instanceId: madeId(3, number % 3),
    answeredBy: 'agent',
    outcome: 'relayed',
    status: 200,
    span: 1.5 + (number % 7),
    ...changes,
  }
}

/** An hour with a little trouble in it. */
export function playedHour(isTroubled: boolean): readonly Minute[] {
  return Array.from({ length: 60 }, (_, number) => {
    const isBad = isTroubled && number > 42
    const load = Math.round(60 + 40 * Math.sin(number / 7) + ((number * 37) % 17))
    return {
      at: new Date(Date.UTC(2026, 0, 2, 11, 0, 0) + number * 60_000).toISOString(),
      answers: isBad
        ? { '2xx': 4, '4xx': 3, '5xx': load }
        : { '2xx': load, ...(number % 9 === 0 && { '4xx': 4 }) },
      median: isBad ? 500 : number % 5 === 0 ? 5 : 2.5,
      p99: isBad ? 5_000 : number % 11 === 0 ? 50 : 10,
    }
  })
}

/** The seven states in which the page is looked at. */
export function playedStates(): Readonly<Record<string, PlayedState>> {
  const requests = Array.from({ length: 12 }, (_, number) => playedRequest(number))
  const refusals = Array.from({ length: 20 }, (_, number) =>
    playedRequest(number, {
      outcome: 'refused',
      status: number % 3 === 0 ? 503 : 404,
      reason:
        number % 3 === 0
          ? 'directory_unavailable'
          : number % 4 === 0
            ? 'ambiguous_port'
            : 'no_port',
    }),
  )
  const well = { minutes: playedHour(false), requests, isServed: true }
  return {
    idle: { networks: 0, guestsPerNetwork: 0 },
    'guests-3': { networks: 3, guestsPerNetwork: 1, ...well },
    'guests-200': { networks: 50, guestsPerNetwork: 4, ...well },
    'guests-5000': { networks: 1_000, guestsPerNetwork: 5, ...well },
    refusals: {
      networks: 6,
      guestsPerNetwork: 2,
      ...well,
      minutes: playedHour(true),
      refusals,
      requests: refusals,
      namespaceProblem: problemOf(
        'listener_missing',
        [1, 6],
        'qrouter: 9697 is held by pid 812, haproxy',
      ),
    },
    'compute-down': {
      networks: 6,
      guestsPerNetwork: 2,
      ...well,
      minutes: playedHour(true),
      requests: requests.map((one) => ({
        ...one,
        outcome: 'refused',
        status: 503,
        reason: 'compute_unreachable',
      })),
      computeProblem: problemOf(
        'no_compute',
        [1, 1],
        'http://192.0.2.10:8775: connect ECONNREFUSED',
      ),
    },
    'secret-wrong': {
      networks: 6,
      guestsPerNetwork: 2,
      ...well,
      minutes: playedHour(true),
      computeProblem: problemOf(
        'secret_refused',
        [1, 1],
        'http://192.0.2.10:8775 refuses our secret',
      ),
    },
  }
}
