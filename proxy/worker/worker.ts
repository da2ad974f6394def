import { describeDefect } from '../../lib/runtime/defects.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { EventLoopWatch } from '../../lib/runtime/event-loop-watch.ts'
import type { Clock, Count } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { AgentClient } from './agent/agent-client.ts'
import { checkAsCanary } from './guest/canary.ts'
import { DirectClient } from './forwarding/direct-client.ts'
import { Forwarder, type DirectPath } from './forwarding/forwarder.ts'
import type { ListeningPlace } from './guest/guest-listeners.ts'
import { GuestServer } from './guest/guest-server.ts'
import type { ReadIngressPort } from './guest/ingress-port.ts'
import { Ledger, workerBudgets } from './guest/ledger.ts'
import { ServedCounts } from './forwarding/served-counts.ts'
import { LeaseStore } from './forwarding/lease-store.ts'
import { LeaseChannel } from './forwarding/lease-channel.ts'
import { WorkerMetrics } from './shared/metrics.ts'
import type { FromWorker, ListenerDescription, ToWorker, WorkerConfig } from './shared/protocol.ts'
import { RawLoop } from './raw/raw-loop.ts'
import { RefusalLog } from '../../lib/observe/refusal-log.ts'
import { RequestIds } from './guest/request-ids.ts'
import { KnownFacts } from './guest/sent-facts.ts'
import { RequestLog } from './guest/request-log.ts'

/** Of the text that the supervisor gets. */
const longestCause: Count = 200

export interface WorkerOptions {
  readonly config: WorkerConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly savedSyn: (fd: number) => Uint8Array | undefined
  readonly ingressPort: ReadIngressPort
  /** @see WorkerContext */
  readonly setHopLimit: (fd: number, isPeerIpv6: boolean, hops: Count) => void
  /** Takes the next descriptor that the supervisor sent; `undefined` for one that could not be received. */
  readonly nextDescriptor: () => number | undefined
  readonly send: (message: FromWorker) => void
}

interface Opening {
  readonly description: ListenerDescription
  readonly place: ListeningPlace | undefined
}

/** Carries out the supervisor's orders, from the first listener to the last answer. */
export class Worker {
  readonly #options: WorkerOptions
  readonly #metrics = new WorkerMetrics()
  readonly #loop: RawLoop
  readonly #agents: AgentClient
  readonly #forwarder: Forwarder
  readonly #ledger: Ledger
  readonly #server: GuestServer
  readonly #requests: RequestLog

  constructor(options: WorkerOptions) {
    const { config, clock, logger } = options
    this.#options = options
    const log = new RefusalLog(logger, clock)
    this.#requests = new RequestLog(clock)
    const defect = (cause: unknown): void => {
      this.#metrics.defects += 1
      log.write('internal_error', () => describeDefect(cause))
    }
    this.#loop = new RawLoop()
    const loop = this.#loop
    this.#agents = new AgentClient({
      config: config.agent,
      clock,
      loop,
      logger,
      metrics: this.#metrics,
      defect,
      onChange: (agents) => options.send({ kind: 'agents', agents }),
      onCrowded: () => this.#ledger.endStalled(),
    })
    this.#agents.meetAgents()
    new EventLoopWatch(clock, (lag) => this.#metrics.observeLoopLag(lag / 1_000)).start()
    this.#forwarder = new Forwarder({
      agent: this.#agents,
      direct: directPath(options, loop, defect),
      metrics: this.#metrics,
    })
    const { connectionsPerNamespace, connectionsPerSource } = config.limits
    this.#ledger = new Ledger(
      { ...workerBudgets, connectionsPerNamespace, requestsPerSource: connectionsPerSource },
      clock,
    )
    this.#server = new GuestServer({
      services: {
        forwarder: this.#forwarder,
        limits: config.limits,
        metrics: this.#metrics,
        log,
        requestIds: new RequestIds(),
        facts: new KnownFacts(),
        requests: this.#requests,
        ledger: this.#ledger,
        clock,
        setHopLimit: options.setHopLimit,
      },
      loop,
      canary: config.canary,
      backlog: config.backlog,
      savedSyn: options.savedSyn,
      ingressPort: options.ingressPort,
    })
  }

  /** Listening sockets of this moment. They stay this worker's. */
  descriptors(): readonly number[] {
    return this.#server.descriptors()
  }

  async handle(message: Exclude<ToWorker, { kind: 'configure' | 'serve-until' }>): Promise<void> {
    switch (message.kind) {
      case 'listeners':
        this.#listen(this.#takeDescriptors(message.listeners))
        return
      case 'own-listeners':
        this.#listen(
          message.listeners.map((description) => ({
            description,
            place: { host: description.host, port: description.tcpPort },
          })),
        )
        return
      case 'close-listeners':
        this.#server.closeListeners(message.listenerIds)
        return
      case 'check-canary':
        await this.#checkAsCanary(message.canaryId)
        return
      case 'drain':
        await this.#server.drain(message.limit)
        this.#forwarder.close()
        this.#options.send({ kind: 'drained' })
        return
      case 'ping':
        this.#options.send({
          kind: 'pong',
          id: message.id,
          served: this.#metrics.served,
          forwarding: this.#forwarder.report,
        })
        return
      case 'reconfigure-agents':
        this.#agents.reconfigure(message.addresses)
        return
      case 'metrics':
        this.#metrics.agents = this.#agents.reports()
        this.#metrics.heldBytes = this.#ledger.bytes
        this.#metrics.leases = this.#forwarder.leases
        this.#metrics.directLoad = this.#forwarder.directLoad
        this.#options.send({ kind: 'metrics', id: message.id, metrics: this.#metrics.toJson() })
        return
      case 'find-request': {
        const record = this.#requests.find(message.requestId)
        this.#options.send({ kind: 'request-record', id: message.id, ...(record && { record }) })
        return
      }
      case 'list-requests': {
        const requests = this.#requests.since(message.after)
        this.#options.send({ kind: 'recent-requests', id: message.id, requests })
        return
      }
      default:
        message satisfies never
    }
  }

  async #checkAsCanary(canaryId: number): Promise<void> {
    const { config, clock, nextDescriptor, send } = this.#options
    const fd = nextDescriptor()
    if (config.canary === undefined || fd === undefined) return
    send({ kind: 'canary', canaryId, outcome: await checkAsCanary(fd, config.canary, clock) })
  }

  /** Takes all descriptors before the first wait: their order is the order of messages. */
  #takeDescriptors(descriptions: readonly ListenerDescription[]): readonly Opening[] {
    return descriptions.map((description) => {
      const fd = this.#options.nextDescriptor()
      return { description, place: fd === undefined ? undefined : { fd } }
    })
  }

  #listen(openings: readonly Opening[]): void {
    const { send, logger } = this.#options
    const failures: { listenerId: number; cause: string }[] = []
    const listenerIds: number[] = []
    for (const { description, place } of openings) {
      const { listenerId, netns, bound } = description
      try {
        if (place === undefined) throw new Error('its descriptor did not arrive')
        this.#server.listen(description, place)
        listenerIds.push(listenerId)
      } catch (thrown) {
        const cause = causeText(thrown)
        logger.error({ listenerId, netns, bound, cause }, 'Cannot accept on a listener')
        failures.push({ listenerId, cause: cause.slice(0, longestCause) })
      }
    }
    if (listenerIds.length > 0) send({ kind: 'listening', listenerIds })
    if (failures.length > 0) send({ kind: 'listen-failed', failures })
  }
}

function directPath(
  { config, clock, logger }: WorkerOptions,
  loop: RawLoop,
  defect: (cause: unknown) => void,
): DirectPath | undefined {
  const { forwarding, agent: timeouts } = config
  if (forwarding === undefined) return undefined
  const store = new LeaseStore(clock, forwarding.leases)
  const client = new DirectClient({ config: forwarding, timeouts, clock, loop, defect })
  const channel = new LeaseChannel({
    socket: forwarding.leaseSocket,
    store,
    clock,
    logger,
    onConcurrency: (concurrency) => client.setConcurrency(concurrency),
  })
  const served = new ServedCounts(clock, (uses) => channel.served(uses))
  return { store, channel, client, served }
}
