/** How does a request reach an agent and its answer come back? */
import type { Cancel, Clock, Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../../lib/runtime/errors.ts'
import { FairGate } from '../../../lib/admission/fair-gate.ts'
import type { Seat } from '../../../lib/admission/fair-queue.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import type { AgentEndpoint, AgentRequest } from './agent-endpoint.ts'
import { AgentEndpoints } from './agent-endpoints.ts'
import { AgentExchange, type ExchangeServices } from './agent-exchange.ts'
import type { AnswerReceiver } from '../shared/answer-receiver.ts'
import type { WorkerMetrics } from '../shared/metrics.ts'
import type { RawLoop } from '../raw/raw-loop.ts'
import type { AgentAddress, AgentReport, WorkerConfig } from '../shared/protocol.ts'

export interface AgentClientOptions {
  readonly config: WorkerConfig['agent']
  readonly clock: Clock
  readonly loop: RawLoop
  readonly logger: Logger
  readonly metrics: WorkerMetrics
  /** Called with how the agents stand when that has changed. */
  readonly onChange?: (reports: readonly AgentReport[]) => void
  /** @see RequestPoolOptions */
  readonly defect: (cause: unknown) => void
  /** Called when a request has to wait for a connection. */
  readonly onCrowded?: () => void
}

/** Requests that may wait for each connection. */
const waitingPerConnection: Count = 64
/** How much of that one namespace may take. */
const mostOfScope = 1 / 4
/** Past that, waiting helps no guest. */
const guestPatience: Milliseconds = 10_000
/** Seconds, at most, after which a guest that was turned away is to come back. */
const longestRetryAfter = 5

/** Between whom the connections are shared fairly: first by namespace, then by address. */
export interface Sharer {
  /** As `scopeText` writes it. */
  readonly scope: string
  readonly address: string
}

const longestSweep: Milliseconds = 1_000

/** An agent from which nothing comes for so long has to take part in a handshake. */
const silence: Milliseconds = 1_500

/** Changes are reported together, so that agents that take turns do not make a message of each request. */
const reportPause: Milliseconds = 100

/**
 * Speaks HTTP/1.1 over kept-alive connections to agents: on UNIX sockets and over mutual TLS. Works with any agent that speaks Neutron's
 * contract, also with one that closes after every answer. The first that looks well gets the request; when it cannot be reached, or is lost
 * before a byte of an answer came to a GET or HEAD without a body, the next is.
 */
export class AgentClient {
  readonly #options: AgentClientOptions
  readonly #endpoints: AgentEndpoints
  readonly #services: ExchangeServices
  /** Those without an answer's head, oldest first. */
  readonly #waiting = new Set<AgentExchange>()
  /** No guest may keep all connections busy, be its requests ever so slow. */
  readonly #gate: FairGate
  #sweep: Cancel | undefined
  #report: Cancel | undefined

  /** @throws Error when certificates cannot be used */
  constructor(options: AgentClientOptions) {
    const { config, clock, loop, logger, metrics, defect } = options
    this.#options = options
    this.#endpoints = new AgentEndpoints({
      loop,
      config,
      clock,
      logger,
      defect,
      onDown: (endpoint) => this.#leave(endpoint),
      isWaitedFor: (endpoint) => this.#isWaitedFor(endpoint),
      onChange: () => this.#reportSoon(),
    })
    this.#services = {
      endpoints: this.#endpoints,
      clock,
      metrics,
      timeoutConnect: config.timeoutConnect,
      answered: (exchange) => this.#waiting.delete(exchange),
      over: (seat) => this.#gate.leave(seat),
    }
    const max = config.connections * waitingPerConnection
    this.#gate = new FairGate({
      clock,
      limit: { value: config.connections, wanted: () => undefined },
      max,
      maxPerProject: Math.ceil(max * mostOfScope),
      preference: 1,
      longestWait: guestPatience,
      longestRetryAfter,
      random: Math.random,
    })
  }

  /** @param sharer absent for what is sent for no guest, and need not wait for any */
  send(request: AgentRequest, receiver: AnswerReceiver, sharer?: Sharer): AgentExchange {
    const exchange = new AgentExchange(this.#services, request, receiver)
    this.#waiting.add(exchange)
    this.#sweep ??= this.#options.clock.schedule(this.#sweepInterval(), () => this.#look())
    if (sharer === undefined) exchange.start()
    else this.#startInTurn(exchange, this.#gate.seat(sharer.scope, sharer.address, false))
    return exchange
  }

  #startInTurn(exchange: AgentExchange, seat: Seat): void {
    if (this.#gate.tryEnter(seat)) {
      exchange.startOn(seat)
      return
    }
    const turn = this.#gate.wait(seat, exchange)
    this.#options.onCrowded?.()
    turn.then(
      (outcome) => (outcome === 'entered' ? exchange.startOn(seat) : undefined),
      (cause: unknown) => exchange.fail(cause as MetadataError),
    )
  }

  /** Requests wait for a connection. */
  get isCrowded(): boolean {
    return this.#gate.waiting > 0
  }

  /** Finds out whether the agents can be connected to, without a request of a guest. */
  meetAgents(): void {
    this.#endpoints.meet()
  }

  /** How the agents stand, in order of preference. */
  reports(): readonly AgentReport[] {
    return this.#endpoints.reports()
  }

  /** Other agents, or others of their certificates, from now on. What runs goes on where it is. */
  reconfigure(addresses: readonly AgentAddress[]): void {
    this.#endpoints.replace(addresses)
  }

  close(): void {
    this.#sweep?.()
    this.#report?.()
    this.#endpoints.close()
  }

  #sweepInterval(): Milliseconds {
    return Math.min(longestSweep, Math.max(5, this.#options.config.timeoutHeaders / 8))
  }

  #look(): void {
    this.#failLate()
    this.#probeSilent()
    this.#sweep =
      this.#waiting.size === 0
        ? undefined
        : this.#options.clock.schedule(this.#sweepInterval(), () => this.#look())
  }

  #failLate(): void {
    const { config, clock } = this.#options
    const oldest = clock.now() - config.timeoutConnect - config.timeoutHeaders
    for (const exchange of this.#waiting) {
      if (exchange.startedAt > oldest) break
      const { endpoint } = exchange
      exchange.fail(
        new MetadataError('agent_timeout', 'The agent gave no answer in time', {
          details: { timeoutHeaders: config.timeoutHeaders },
        }),
      )
      if (endpoint) this.#endpoints.noteFailure(endpoint, 'answer', 'no answer in time')
    }
  }

  #probeSilent(): void {
    const { clock } = this.#options
    if (this.#endpoints.count < 2) return
    const before = clock.now() - silence
    for (const { endpoint, requestedAt } of this.#waiting) {
      if (endpoint === undefined || requestedAt > before || endpoint.receivedAt > before) continue
      if (!this.#endpoints.hasOther(endpoint)) continue
      endpoint.probe(clock, (cause) => {
        this.#endpoints.noteFailure(endpoint, 'connect', `silent: ${causeText(cause)}`)
      })
    }
  }

  /** What waits for an agent that looks down need not find that out one by one. */
  #leave(endpoint: AgentEndpoint): void {
    const hasOther = this.#endpoints.hasOther(endpoint)
    for (const exchange of this.#waiting) {
      if (exchange.endpoint !== endpoint) continue
      if (hasOther) exchange.leaveEndpoint()
      if (endpoint.isHung && exchange.endpoint === endpoint) {
        exchange.fail(new MetadataError('agent_unreachable', 'The agent does not answer'))
      }
    }
  }

  #isWaitedFor(endpoint: AgentEndpoint): boolean {
    for (const exchange of this.#waiting) if (exchange.endpoint === endpoint) return true
    return false
  }

  #reportSoon(): void {
    const { clock, onChange } = this.#options
    if (onChange === undefined) return
    this.#report ??= clock.schedule(reportPause, () => {
      this.#report = undefined
      onChange(this.reports())
    })
  }
}
