/** How much did this worker do? Plain numbers, counted where things happen and put into words only when scraped. */
import type { Bytes, Count, Seconds } from '../../../lib/runtime/clock.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import { forgedHeaderClasses } from './forged-headers.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import type { MetricJson, MetricValue } from './metric-json.ts'
import type { Shortage } from '../guest/accounts.ts'

const statusClasses = [2, 3, 4, 5] as const

/** A worker's counters, plain numbers until they are scraped. */
export class WorkerMetrics {
  connectionsOpen: Count = 0
  connectionsAccepted: Count = 0
  /** Exceptions that ended one connection. */
  defects: Count = 0
  /** By guests, when the metrics were last read. */
  heldBytes: Bytes = 0
  acceptFailures: Count = 0
  sourceMacKnown: Count = 0
  sourceMacUnknown: Count = 0
  guestDisconnects: Count = 0
  agentRetries: Count = 0
  agentFailovers: Count = 0
  /** How they stood when the metrics were last read. */
  agents: readonly { readonly state: 'up' | 'down' }[] = []
  /** Held when the metrics were last read. */
  leases: Count = 0
  directRequests: Count = 0
  directHandedBack: Count = 0
  directCrowded: Count = 0
  /** How it stood when the metrics were last read. */
  directLoad: { readonly running: Count; readonly limit: Count } = { running: 0, limit: 0 }
  requestBodyBytes: Bytes = 0
  responseBodyBytes: Bytes = 0
  /** Added to by place in {@link forgedHeaderClasses}. */
  readonly forgedHeaders: Count[] = forgedHeaderClasses.map(() => 0)
  readonly #answers: Count[] = [0, 0, 0, 0, 0, 0]
  readonly #refusedConnections = new Map<Shortage, Count>()
  readonly #evictions = new Map<Shortage, Count>()
  readonly #refusals = new Map<ReasonCode, Count>()
  readonly #agentRefusals = new Map<ReasonCode, Count>()
  /** By the agent's place in the configuration. */
  readonly #agentAnswers: Count[] = []
  readonly #agentLatency = new LatencyHistogram()
  readonly #loopLag = new LatencyHistogram()

  countAnswer(status: number): void {
    const statusClass = Math.trunc(status / 100)
    this.#answers[statusClass] = (this.#answers[statusClass] ?? 0) + 1
  }

  /** Answers that gave guests what they wanted. */
  get served(): Count {
    return this.#answers[2] ?? 0
  }

  /** A connection was accepted for which there is no room. */
  countRefusedConnection(limit: Shortage): void {
    this.#refusedConnections.set(limit, (this.#refusedConnections.get(limit) ?? 0) + 1)
  }

  /** A connection was ended so that others have room. */
  countEviction(limit: Shortage): void {
    this.#evictions.set(limit, (this.#evictions.get(limit) ?? 0) + 1)
  }

  /** A refusal made by this worker. */
  countRefusal(code: ReasonCode): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1)
  }

  /** A refusal made by the agent and passed on. */
  countAgentRefusal(code: ReasonCode): void {
    this.#agentRefusals.set(code, (this.#agentRefusals.get(code) ?? 0) + 1)
  }

  countAgentAnswer(agent: Count): void {
    this.#agentAnswers[agent] = (this.#agentAnswers[agent] ?? 0) + 1
  }

  observeAgentLatency(seconds: Seconds): void {
    this.#agentLatency.observe(seconds)
  }

  /** How late the event loop ran what was due. */
  observeLoopLag(seconds: Seconds): void {
    this.#loopLag.observe(seconds)
  }

  toJson(): readonly MetricJson[] {
    return [
      counter(
        'overlapd_proxy_requests_total',
        'Answers given to guests, by class of status.',
        statusClasses.map((statusClass) => ({
          labels: { status: `${statusClass}xx` },
          value: this.#answers[statusClass] ?? 0,
        })),
      ),
      counter(
        'overlapd_proxy_refusals_total',
        'Requests and connections that the proxy itself refused, by reason.',
        byReason(this.#refusals),
      ),
      counter(
        'overlapd_proxy_agent_refusals_total',
        'Refusals of the agent that were passed on to guests, by reason.',
        byReason(this.#agentRefusals),
      ),
      counter(
        'overlapd_proxy_forged_headers_total',
        'Identity headers that guests sent and that were dropped, by class.',
        forgedHeaderClasses.map((header, place) => ({
          labels: { header },
          value: this.forgedHeaders[place] ?? 0,
        })),
      ),
      {
        ...counter('overlapd_proxy_connections_open', 'Connections of guests that are open now.', [
          plain(this.connectionsOpen),
        ]),
        type: 'gauge',
      },
      counter('overlapd_proxy_connections_total', 'Connections of guests that were accepted.', [
        plain(this.connectionsAccepted),
      ]),
      counter(
        'overlapd_proxy_connections_refused_total',
        'Connections refused because a limit was reached, by limit.',
        byLimit(this.#refusedConnections, ['source', 'namespace', 'process']),
      ),
      counter(
        'overlapd_proxy_connections_evicted_total',
        'Connections of guests that held most, ended to make room for others, by limit.',
        byLimit(this.#evictions, ['source', 'namespace', 'process', 'agent']),
      ),
      {
        ...counter(
          'overlapd_proxy_held_bytes',
          'What guests make the workers hold: connections, requests and unread answers.',
          [plain(this.heldBytes)],
        ),
        type: 'gauge',
      },
      counter(
        'overlapd_proxy_defects_total',
        'Exceptions that ended one connection, of a guest or to whom its request went. Each is a defect of overlapd.',
        [plain(this.defects)],
      ),
      counter(
        'overlapd_proxy_accept_failures_total',
        'Connections the kernel could not hand over, as when no descriptor is free.',
        [plain(this.acceptFailures)],
      ),
      counter(
        'overlapd_proxy_source_macs_total',
        'Accepted connections, by whether the source MAC was known.',
        [
          { labels: { known: 'yes' }, value: this.sourceMacKnown },
          { labels: { known: 'no' }, value: this.sourceMacUnknown },
        ],
      ),
      counter(
        'overlapd_proxy_guest_disconnects_total',
        'Requests whose guest went away before the whole answer was sent.',
        [plain(this.guestDisconnects)],
      ),
      counter(
        'overlapd_proxy_agent_answers_total',
        'Answers of agents, by the place of the agent in the configuration, from 0.',
        // An agent that has not answered yet is a hole in the list.
        Array.from({ length: this.#agentAnswers.length }, (_, agent) => ({
          labels: { agent: String(agent) },
          value: this.#agentAnswers[agent] ?? 0,
        })),
      ),
      {
        ...counter(
          'overlapd_proxy_agent_up',
          'How many workers find the agent well, by its place in the configuration.',
          this.agents.map(({ state }, agent) => ({
            labels: { agent: String(agent) },
            value: state === 'up' ? 1 : 0,
          })),
        ),
        type: 'gauge',
      },
      counter(
        'overlapd_proxy_agent_failovers_total',
        'Requests that were sent to another agent because the one before could not answer.',
        [plain(this.agentFailovers)],
      ),
      counter(
        'overlapd_proxy_agent_retries_total',
        'Requests sent again because the agent closed the connection before it had answered.',
        [plain(this.agentRetries)],
      ),
      {
        ...counter('overlapd_proxy_leases', 'Leases of signed headers that workers hold.', [
          plain(this.leases),
        ]),
        type: 'gauge',
      },
      counter(
        'overlapd_proxy_direct_requests_total',
        'Requests sent straight to compute under a lease.',
        [plain(this.directRequests)],
      ),
      counter(
        'overlapd_proxy_direct_handed_back_total',
        'Requests under a lease that were sent again over the agent.',
        [plain(this.directHandedBack)],
      ),
      counter(
        'overlapd_proxy_direct_crowded_total',
        'Requests under a lease that went over the agent because enough were on their way to compute.',
        [plain(this.directCrowded)],
      ),
      {
        ...counter(
          'overlapd_proxy_direct_running',
          'Requests that are on their way straight to compute.',
          [plain(this.directLoad.running)],
        ),
        type: 'gauge',
      },
      {
        ...counter(
          'overlapd_proxy_direct_limit',
          'Requests that may be on their way straight to compute.',
          [plain(this.directLoad.limit)],
        ),
        type: 'gauge',
      },
      counter('overlapd_proxy_request_body_bytes_total', 'Bytes of request bodies forwarded.', [
        plain(this.requestBodyBytes),
      ]),
      counter('overlapd_proxy_response_body_bytes_total', 'Bytes of answer bodies relayed.', [
        plain(this.responseBodyBytes),
      ]),
      this.#agentLatency.toJson(
        'overlapd_proxy_agent_duration_seconds',
        'Time from a request to the head of the answer of the agent.',
      ),
      this.#loopLag.toJson(
        'overlapd_proxy_worker_loop_lag_seconds',
        'How late a callback ran that was due, measured once a second in each worker. Guests wait for as long.',
      ),
    ]
  }
}

function counter(name: string, help: string, values: readonly MetricValue[]): MetricJson {
  return { name, help, type: 'counter', aggregator: 'sum', values }
}

function plain(value: number): MetricValue {
  return { labels: {}, value }
}

function byReason(counts: ReadonlyMap<ReasonCode, Count>): readonly MetricValue[] {
  return Array.from(counts, ([reason, value]) => ({ labels: { reason }, value }))
}

function byLimit(
  counts: ReadonlyMap<Shortage, Count>,
  limits: readonly Shortage[],
): readonly MetricValue[] {
  return limits.map((limit) => ({ labels: { limit }, value: counts.get(limit) ?? 0 }))
}
