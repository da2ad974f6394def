import { causeText } from '../../../../lib/runtime/errors.ts'
import type { Clock, Milliseconds } from '../../../../lib/runtime/clock.ts'
import type { Logger } from '../../../../lib/runtime/log.ts'
import type { JsonObject } from '../../directory/neutron-port.ts'
import { AmqpKeeper } from '../amqp/amqp.ts'
import type { AmqpLink, QueueKind } from '../amqp/amqp-link.ts'
import type { NeutronRpcConfig } from '../config.ts'
import type { NeutronRpcMetrics } from '../metrics.ts'
import { decodeMessage, hexId } from './oslo-envelope.ts'
import { RpcClient } from './rpc-client.ts'
import type { ReportSender } from './state-report.ts'
import { parseTransportUrl } from '../amqp/transport-url.ts'
import { withUrlOptions } from './url-options.ts'
import { objectVersion, parsePush, type PortEvent } from './versioned-object.ts'

/** What {@link Bus} tells its owner. */
export interface BusEvents {
  up(): void
  /** No message can be sent or heard any more; `isSilent` when that was noticed by silence alone. */
  down(why: string, isSilent: boolean): void
  push(events: readonly PortEvent[]): void
  /** Something was pushed that cannot be read. */
  unreadablePush(why: string): void
}

/** What {@link Bus} works with. */
export interface BusOptions {
  readonly config: NeutronRpcConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: NeutronRpcMetrics
  readonly events: BusEvents
}

/** Neutron's servers: they can be asked, and they push. */
export interface NeutronBus {
  readonly rpc: ReportSender
  /** Why there is no connection, for the operator. */
  readonly lastProblem: string
  start(): void
  close(): Promise<void>
  /** `get_ports` as Neutron's metadata agent calls it. @see neutron/api/rpc/handlers/metadata_rpc.py */
  getPorts(filters: JsonObject, timeout: Milliseconds): Promise<unknown>
  /**
   * Asks whether the servers offer versioned objects, and of which version their ports are. That interface and the pushes
   * are parts of the same plugin, ML2.
   * @param sample a port that exists, without which the version stays unknown
   * @returns `rebound` when the version was not listened for until now
   */
  probe(sample: string | undefined, timeout: Milliseconds): Promise<'heard' | 'rebound' | 'unknown'>
}

const pluginTopic = 'q-plugin'
/** An id that no port has. */
const noPort = '00000000-0000-0000-0000-000000000000'

function fanoutExchange(version: string): string {
  return `neutron-vo-Port-${version}_fanout`
}

/**
 * Neutron's servers as seen over RabbitMQ. Queues keep their names over reconnects, so
 * that servers can deliver late answers and late pushes rather than wait for a queue that never comes.
 */
export class Bus implements NeutronBus {
  readonly rpc: RpcClient
  readonly #options: BusOptions
  readonly #config: NeutronRpcConfig
  readonly #keeper: AmqpKeeper
  readonly #replyQueue = `reply_${hexId()}`
  // Policies of operators tell such queues by "_fanout_".
  readonly #pushQueue = `neutron-vo-Port_fanout_${hexId()}`
  readonly #versions: Set<string>
  #link: AmqpLink | undefined
  #isBlocked = false

  /** @throws SyntaxError when the transport URL cannot be read; it repeats nothing of it */
  constructor(options: BusOptions) {
    const url = parseTransportUrl(options.config.transportUrl.reveal())
    const config = withUrlOptions(options.config, url.options)
    const { clock, logger, metrics, events } = options
    this.#options = options
    this.#config = config
    this.#versions = new Set(config.pushVersions)
    this.rpc = new RpcClient({
      exchange: config.controlExchange,
      replyQueue: this.#replyQueue,
      maxOutstanding: config.maxOutstanding,
      clock,
      metrics,
    })
    this.#keeper = new AmqpKeeper(
      {
        brokers: url.brokers,
        virtualHost: url.virtualHost,
        ...(config.tls && { tls: config.tls }),
        heartbeat: config.heartbeat,
        connectTimeout: config.timeoutConnect,
        reconnectDelayMin: config.reconnectDelayMin,
        reconnectDelayMax: config.reconnectDelayMax,
        connectionName: `overlapd-agent:${process.pid}:${config.host}`,
        clock,
        logger,
      },
      {
        prepare: (link) => this.#prepare(link),
        up: (link) => {
          this.#link = link
          this.#isBlocked = false
          this.rpc.attach(link)
          metrics.connected.set(1)
          events.up()
        },
        down: (why) => {
          this.#link = undefined
          this.rpc.detach(why)
          metrics.connected.set(0)
          const wasBlocked = this.#isBlocked
          this.#isBlocked = false
          if (!wasBlocked) events.down(why, why.includes('Heartbeat timeout'))
        },
      },
    )
  }

  get lastProblem(): string {
    return this.#isBlocked ? 'the broker takes no messages' : this.#keeper.lastProblem
  }

  start(): void {
    this.#keeper.start()
  }

  async close(): Promise<void> {
    await this.#keeper.close([this.#replyQueue, this.#pushQueue])
    this.rpc.detach('closing')
  }

  getPorts(filters: JsonObject, timeout: Milliseconds): Promise<unknown> {
    return this.rpc.call(
      pluginTopic,
      { method: 'get_ports', args: { filters }, version: '1.0' },
      timeout,
    )
  }

  async probe(
    sample: string | undefined,
    timeout: Milliseconds,
  ): Promise<'heard' | 'rebound' | 'unknown'> {
    const reply = await this.rpc.call(
      pluginTopic,
      {
        method: 'bulk_pull',
        // Without a version the server answers in its own.
        args: { resource_type: 'Port', version: null, filter_kwargs: { id: [sample ?? noPort] } },
        version: '1.1',
      },
      timeout,
    )
    const version = objectVersion(
      Array.isArray(reply) ? (reply as readonly unknown[])[0] : undefined,
    )
    if (version === undefined) return 'unknown'
    if (this.#versions.has(version)) return 'heard'
    this.#versions.add(version)
    const link = this.#link
    if (link !== undefined) await this.#listen(link, version)
    return 'rebound'
  }

  async #prepare(link: AmqpLink): Promise<void> {
    const { push } = this.#config
    link.onBlocked((isBlocked, why) => this.#blocked(link, isBlocked, why))
    await link.declareQueue(this.#replyQueue, this.#queueKind())
    await link.consume(this.#replyQueue, (content) => this.rpc.handleReply(content))
    if (!push) return
    await link.declareQueue(this.#pushQueue, this.#queueKind())
    for (const version of this.#versions) await this.#listen(link, version)
    await link.consume(this.#pushQueue, (content) => this.#pushed(content))
  }

  async #listen(link: AmqpLink, version: string): Promise<void> {
    const exchange = fanoutExchange(version)
    await link.declareExchange(exchange, 'fanout', {
      durable: this.#config.transientQuorumQueue,
      autoDelete: true,
    })
    await link.bindQueue(this.#pushQueue, exchange, '')
  }

  #queueKind(): QueueKind {
    const { transientQuorumQueue, transientQueuesTtl } = this.#config
    return { durable: false, quorum: transientQuorumQueue, unusedLife: transientQueuesTtl }
  }

  /** A broker that takes no messages takes none of the servers' pushes either. */
  #blocked(link: AmqpLink, isBlocked: boolean, why: string): void {
    if (link !== this.#link || isBlocked === this.#isBlocked) return
    this.#isBlocked = isBlocked
    const { logger, events } = this.#options
    if (isBlocked) {
      this.rpc.detach('the broker takes no messages')
      logger.warn({ cause: why }, 'Broker takes no messages')
      events.down(`the broker takes no messages: ${why}`, false)
    } else {
      logger.info({}, 'Broker takes messages again')
      this.rpc.attach(link)
      events.up()
    }
  }

  #pushed(content: Buffer): void {
    const { events, metrics } = this.#options
    let pushed: readonly PortEvent[]
    try {
      const message = decodeMessage(content)
      // Others of the servers' broadcasts are none of ours.
      if (message.kind !== 'request' || message.method !== 'push') return
      pushed = parsePush(message.args)
    } catch (thrown) {
      metrics.pushes.inc({ event: 'unreadable' })
      events.unreadablePush(causeText(thrown))
      return
    }
    for (const event of pushed) metrics.pushes.inc({ event: event.kind })
    events.push(pushed)
  }
}
