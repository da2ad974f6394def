import { connect, type ChannelModel } from 'amqplib'
import type { Clock, Count, Milliseconds, Seconds } from '../../../../lib/runtime/clock.ts'
import { hostText } from '../../../../lib/identity/tcp-address.ts'
import { causeText } from '../../../../lib/runtime/errors.ts'
import type { Logger } from '../../../../lib/runtime/log.ts'
import { clientSecureContext } from '../../../../lib/files/tls-material.ts'
import { AmqpLink } from './amqp-link.ts'
import { Backoff } from '../../../../lib/runtime/backoff.ts'
import type { Broker } from './transport-url.ts'

/** How the broker proves who it is and we who we are. Files are PEM, read anew for each connection. */
export interface BrokerTls {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  /** False to accept any certificate of a trusted authority, whatever host it names. */
  readonly verifyHostname: boolean
  /** True to skip the verification of certificates. */
  readonly insecure: boolean
}

/** Where the brokers are and how to reach them. */
export interface AmqpOptions {
  readonly brokers: readonly Broker[]
  readonly virtualHost: string
  readonly tls?: BrokerTls
  /** A broker that sends nothing for two of these is taken for dead. 0 turns it off. */
  readonly heartbeat: Seconds
  readonly connectTimeout: Milliseconds
  readonly reconnectDelayMin: Milliseconds
  readonly reconnectDelayMax: Milliseconds
  /** Shown in the broker's list of connections. */
  readonly connectionName: string
  readonly clock: Clock
  readonly logger: Logger
}

/** What {@link AmqpKeeper} has its owner do as links come and go. */
export interface AmqpEvents {
  /** Declares and consumes what is needed. When it throws, the link is given up. */
  prepare(link: AmqpLink): Promise<void>
  up(link: AmqpLink, broker: string): void
  down(why: string): void
}

/** After so long a link counts as one that worked, and the next failure starts with the short delay again. */
const provenAfter: Milliseconds = 10_000

function brokerText({ host, tcpPort }: Broker): string {
  return tcpPort === undefined ? hostText(host) : `${hostText(host)}:${tcpPort}`
}

function tlsOptions(tls: BrokerTls): Record<string, unknown> {
  return {
    secureContext: clientSecureContext({
      caFile: tls.caFile,
      certificateFile: tls.certFile,
      keyFile: tls.keyFile,
    }),
    rejectUnauthorized: !tls.insecure,
    ...(!tls.verifyHostname && { checkServerIdentity: () => undefined }),
  }
}

/**
 * Keeps one link to one of several brokers, for ever: round robin, with growing delays and jitter between rounds.
 * A link that breaks is replaced as a whole.
 */
export class AmqpKeeper {
  readonly #options: AmqpOptions
  readonly #events: AmqpEvents
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined
  #link: AmqpLink | undefined
  #lastProblem = 'not connected yet'

  constructor(options: AmqpOptions, events: AmqpEvents) {
    this.#options = options
    this.#events = events
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Why there is no link, for the operator. */
  get lastProblem(): string {
    return this.#lastProblem
  }

  /** May be called twice. Deletes the queues on the way out. */
  async close(queues: readonly string[]): Promise<void> {
    this.#closing.abort(new Error('closing'))
    await this.#link?.close(queues)
    await this.#running
  }

  async #run(): Promise<void> {
    const { brokers, clock, reconnectDelayMin, reconnectDelayMax } = this.#options
    const backoff = new Backoff(reconnectDelayMin, reconnectDelayMax)
    let failures: Count = 0
    // Agents that start together must not all take the first broker.
    let next = Math.floor(Math.random() * brokers.length)
    while (!this.#closing.signal.aborted) {
      const broker = brokers[next % brokers.length]
      if (broker === undefined) return
      const begun = clock.now()
      const why = await this.#serve(broker)
      if (this.#closing.signal.aborted) return
      const hasWorked = clock.now() - begun > provenAfter && why.wasUp
      failures = hasWorked ? 1 : failures + 1
      if (hasWorked) backoff.reset()
      next += 1
      this.#lastProblem = `${brokerText(broker)}: ${why.problem}`
      this.#options.logger.warn(
        { broker: brokerText(broker), cause: why.problem, failures },
        'Broker cannot be used',
      )
      if (why.wasUp) this.#events.down(this.#lastProblem)
      // The pause grows when all brokers have been tried.
      const pause = failures % brokers.length === 0 ? backoff.next() : backoff.same()
      await clock.sleep(pause, this.#closing.signal).catch(() => undefined)
    }
  }

  /** Connects and stays until the link ends. */
  async #serve(broker: Broker): Promise<{ readonly problem: string; readonly wasUp: boolean }> {
    let link: AmqpLink
    try {
      link = await this.#open(broker)
    } catch (cause) {
      return { problem: causeText(cause), wasUp: false }
    }
    this.#link = link
    if (this.#closing.signal.aborted) {
      await link.close([])
      return { problem: 'closing', wasUp: false }
    }
    try {
      const prepared = this.#events.prepare(link).then(() => undefined)
      // A link that ends while it is prepared leaves its requests without answer.
      const problem = await Promise.race([prepared, link.ended])
      if (problem !== undefined) {
        prepared.catch(() => undefined)
        return { problem, wasUp: false }
      }
    } catch (cause) {
      link.fail(causeText(cause))
      return { problem: causeText(cause), wasUp: false }
    }
    this.#lastProblem = ''
    this.#options.logger.info({ broker: brokerText(broker) }, 'Connected to broker')
    this.#events.up(link, brokerText(broker))
    return { problem: await link.ended, wasUp: true }
  }

  async #open(broker: Broker): Promise<AmqpLink> {
    const { tls, connectTimeout } = this.#options
    const opening = connect(
      {
        protocol: tls ? 'amqps' : 'amqp',
        hostname: broker.host,
        ...(broker.tcpPort !== undefined && { port: broker.tcpPort }),
        username: broker.username,
        password: broker.password,
        vhost: encodeURIComponent(this.#options.virtualHost),
        heartbeat: this.#options.heartbeat,
      },
      {
        timeout: connectTimeout,
        noDelay: true,
        keepAlive: true,
        clientProperties: { connection_name: this.#options.connectionName },
        ...(tls && tlsOptions(tls)),
      },
    )
    const limit = new AbortController()
    try {
      return await Promise.race([
        opening.then((model) => AmqpLink.over(model)),
        this.#refusal(AbortSignal.any([limit.signal, this.#closing.signal]), connectTimeout),
      ])
    } catch (cause) {
      opening.then((model: ChannelModel) => model.close()).catch(() => undefined)
      throw cause
    } finally {
      limit.abort()
    }
  }

  /** Rejects when opening has taken too long or is no longer wanted. */
  async #refusal(signal: AbortSignal, span: Milliseconds): Promise<never> {
    await this.#options.clock.sleep(span, signal)
    throw new Error('The broker did not answer in time')
  }
}
