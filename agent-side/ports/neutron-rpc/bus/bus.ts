import { causeText } from '../../../../lib/runtime/errors.ts'
import type { Clock, Milliseconds } from '../../../../lib/runtime/clock.ts'
import type { Logger } from '../../../../lib/runtime/log.ts'
import type { JsonObject } from '../../directory/neutron-port.ts'
import { AmqpKeeper } from '../amqp/amqp.ts'
import type { AmqpLink, QueueKind } from '../amqp/amqp-link.ts'
import type { NeutronRpcConfig } from '../config.ts'
import type { NeutronRpcMetrics } from '../metrics.ts'
import { BrokerPulse } from './broker-pulse.ts'
import { decodeMessage, hexId } from './oslo-envelope.ts'
import { RpcClient } from './rpc-client.ts'
import type { ReportSender } from './state-report.ts'
import { parseTransportUrl } from '../amqp/transport-url.ts'
import { withUrlOptions } from './url-options.ts'
import { objectVersion, parsePush, type PortEvent } from './versioned-object.ts'

/** What {@link Bus} reports to its owner. */
export interface BusEvents {
  up(): void
  /** No message can be sent or received any more, and for so long nothing showed that one still could. */
  down(why: string, silence: Milliseconds): void
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

/** Neutron's servers: they answer queries, and they push. */
export interface NeutronBus {
  readonly rpc: ReportSender
  /** Why there is no connection, for the operator. */
  readonly lastProblem: string
  start(): void
  close(): Promise<void>
  /** `get_ports` as Neutron's metadata agent calls it. @see neutron/api/rpc/handlers/metadata_rpc.py */
  getPorts(filters: JsonObject, timeout: Milliseconds): Promise<unknown>
  /**
   * Queries whether the servers offer versioned objects, and of which version their ports are. That interface and the pushes
   * are parts of the same plugin, ML2.
   * @param sample a port that exists, without which the version stays unknown
   * @returns `rebound` when the version was not listened for until now
   */
  probe(
    sample: string | undefined,
    timeout: Milliseconds,
  ): Promise<'received' | 'rebound' | 'unknown'>
}

const pluginTopic = 'q-plugin'
/** An id that no port has. */
const noPort = '00000000-0000-0000-0000-000000000000'

function fanoutExchange(version: string): string {
  return `neutron-vo-Port-${version}_fanout`
}

function ownQueues(): { readonly reply: string; readonly push: string } {
  // Policies of operators recognise such queues by "_fanout_".
  return { reply: `reply_${hexId()}`, push: `neutron-vo-Port_fanout_${hexId()}` }
}

/**
 * Neutron's servers as seen over RabbitMQ. Queues keep their names over reconnects, but for those after a silence, so
 * that servers can deliver late answers and late pushes rather than wait for a queue that never comes.
 */
export class Bus implements NeutronBus {
  readonly rpc: RpcClient
  readonly #options: BusOptions
  readonly #config: NeutronRpcConfig
  readonly #keeper: AmqpKeeper
  #queues = ownQueues()
  readonly #versions: Set<string>
  #link: AmqpLink | undefined
  /** Why there is a link and nothing comes or goes by it. */
  #trouble: string | undefined
  readonly #pulse: BrokerPulse

  /** @throws SyntaxError when the transport URL cannot be read; it repeats nothing of it */
  constructor(options: BusOptions) {
    const url = parseTransportUrl(options.config.transportUrl.reveal())
    const config = withUrlOptions(options.config, url.options)
    const { clock, logger, metrics, events } = options
    this.#options = options
    this.#config = config
    this.#versions = new Set(config.pushVersions)
    this.#pulse = new BrokerPulse({ clock, interval: config.probeInterval })
    this.rpc = new RpcClient({
      exchange: config.controlExchange,
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
          this.#trouble = undefined
          this.rpc.attach(link, this.#queues.reply)
          this.#watch(link)
          metrics.connected(true)
          events.up()
        },
        down: (why) => {
          this.#link = undefined
          this.#pulse.end()
          this.rpc.detach(why)
          metrics.connected(false)
          const wasUseless = this.#trouble !== undefined
          this.#trouble = undefined
          if (wasUseless) return
          const isSilent = why.includes('Heartbeat timeout')
          events.down(why, isSilent ? this.#config.heartbeat * 2_000 : 0)
        },
      },
    )
  }

  get lastProblem(): string {
    return this.#trouble ?? this.#keeper.lastProblem
  }

  start(): void {
    this.#keeper.start()
  }

  async close(): Promise<void> {
    this.#pulse.end()
    await this.#keeper.close([this.#queues.reply, this.#queues.push])
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
  ): Promise<'received' | 'rebound' | 'unknown'> {
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
    if (this.#versions.has(version)) return 'received'
    this.#versions.add(version)
    const link = this.#link
    if (link !== undefined) await this.#listen(link, version)
    return 'rebound'
  }

  async #prepare(link: AmqpLink): Promise<void> {
    const { push } = this.#config
    link.onBlocked((isBlocked, why) => this.#blocked(link, isBlocked, why))
    const { reply, push: pushed } = this.#queues
    await link.declareQueue(reply, this.#queueKind())
    await link.consume(reply, (content) => this.rpc.handleReply(content))
    if (!push) return
    await link.declareQueue(pushed, this.#queueKind())
    for (const version of this.#versions) await this.#listen(link, version)
    await link.consume(pushed, (content) => this.#pushed(content))
  }

  async #listen(link: AmqpLink, version: string): Promise<void> {
    const exchange = fanoutExchange(version)
    await link.declareExchange(exchange, 'fanout', {
      durable: this.#config.transientQuorumQueue,
      autoDelete: true,
    })
    await link.bindQueue(this.#queues.push, exchange, '')
  }

  #queueKind(): QueueKind {
    const { transientQuorumQueue, transientQueuesTtl } = this.#config
    return { durable: false, quorum: transientQuorumQueue, unusedLife: transientQueuesTtl }
  }

  /** A broker that takes no messages takes none of the servers' pushes either. */
  #blocked(link: AmqpLink, isBlocked: boolean, why: string): void {
    if (link !== this.#link) return
    // It reads no query of ours either.
    this.#pulse.end()
    if (isBlocked) this.#setAside('the broker takes no messages', 0, why)
    else {
      this.#takeUp(link)
      this.#watch(link)
    }
  }

  /** A broker that falls silent and closes nothing would be noticed by its missing heartbeats alone. */
  #watch(link: AmqpLink): void {
    const queue = this.#config.push ? this.#queues.push : this.#queues.reply
    this.#pulse.begin({
      probe: () => link.look(queue),
      silent: (since) => {
        this.#setAside('the broker is silent', this.#options.clock.now() - since)
      },
      back: () => this.#takeUp(link),
      gone: () => {
        // Where only the way there is broken, the old consumers would go on taking half of what comes.
        this.#queues = ownQueues()
        link.fail('the broker is silent')
      },
    })
  }

  /** The link stays, and for so long nothing showed that anything came by it. */
  #setAside(trouble: string, silence: Milliseconds, why?: string): void {
    if (this.#trouble !== undefined) return
    this.#trouble = trouble
    const { logger, events } = this.#options
    this.rpc.detach(trouble)
    logger.warn({ trouble, ...(why !== undefined && { cause: why }) }, 'Broker is of no use')
    events.down(why === undefined ? trouble : `${trouble}: ${why}`, silence)
  }

  #takeUp(link: AmqpLink): void {
    if (this.#trouble === undefined) return
    this.#options.logger.info({ trouble: this.#trouble }, 'Broker is of use again')
    this.#trouble = undefined
    this.rpc.attach(link, this.#queues.reply)
    this.#options.events.up()
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
      metrics.changed('unreadable')
      events.unreadablePush(causeText(thrown))
      return
    }
    for (const event of pushed) metrics.changed(event.kind)
    events.push(pushed)
  }
}
