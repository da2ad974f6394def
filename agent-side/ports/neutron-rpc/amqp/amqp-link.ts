import type { Channel, ChannelModel, ConfirmChannel, Message } from 'amqplib'
import { deferred } from '../../../../lib/runtime/deferred.ts'
import { causeText } from '../../../../lib/runtime/errors.ts'
import type { Count, Seconds } from '../../../../lib/runtime/clock.ts'

/** How a queue of our own is declared. It must agree with the servers' policies, not with their queues. */
export interface QueueKind {
  readonly durable: boolean
  readonly quorum: boolean
  /** The broker deletes the queue when it was not used for so long. */
  readonly unusedLife: Seconds
}

/** A message and where it goes. */
export interface Publication {
  /** Empty for the default exchange, where the routing key is a queue's name. */
  readonly exchange: string
  readonly routingKey: string
  readonly content: Buffer
  /** Names the message in a return; unique on this link. */
  readonly messageId: string
  /** Milliseconds after which the broker drops the message if no consumer took it. */
  readonly expiration?: number
  /** True to have a message refused that would reach no queue. */
  readonly mandatory: boolean
}

/** A message could not be handed to the broker, or reaches no queue. */
export class PublishError extends Error {
  override readonly name = 'PublishError'
  readonly unroutable: boolean

  constructor(message: string, unroutable: boolean) {
    super(message)
    this.unroutable = unroutable
  }
}

/** Messages that the broker has not confirmed yet. */
const mostUnconfirmed: Count = 1_000

/** Replies of the broker that mean "it is there, or not yours to make". */
const tolerated: ReadonlySet<number> = new Set([403, 406])

function replyCode(thrown: unknown): number | undefined {
  const code: unknown = thrown instanceof Error ? (thrown as { code?: unknown }).code : undefined
  return typeof code === 'number' ? code : undefined
}

/**
 * One live connection to a broker, with a channel to publish on and one to consume from. Whatever goes wrong on either
 * ends the link as a whole: half a link would look alive and receive nothing.
 */
export class AmqpLink {
  readonly #model: ChannelModel
  readonly #publisher: ConfirmChannel
  readonly #consumer: Channel
  #scratch: Channel | undefined
  readonly #returned = new Set<string>()
  /** Exchanges that are known to exist. */
  readonly #exchanges = new Set<string>()
  #unconfirmed = 0
  readonly #ended = deferred<string>()
  #isOpen = true

  private constructor(model: ChannelModel, publisher: ConfirmChannel, consumer: Channel) {
    this.#model = model
    this.#publisher = publisher
    this.#consumer = consumer
  }

  static async over(model: ChannelModel): Promise<AmqpLink> {
    const early = deferred<never>()
    early.promise.catch(() => undefined)
    const fail = (cause: unknown): void => early.reject(cause)
    model.on('error', fail)
    model.on('close', () => fail(new Error('The broker closed the connection')))
    const publisher = await Promise.race([model.createConfirmChannel(), early.promise])
    publisher.on('error', fail)
    const consumer = await Promise.race([model.createChannel(), early.promise])
    consumer.on('error', fail)
    const link = new AmqpLink(model, publisher, consumer)
    link.#watch()
    return link
  }

  /** Resolves with the reason once the link is of no more use. Never rejects. */
  get ended(): Promise<string> {
    return this.#ended.promise
  }

  /** Calls back when the broker stops and when it resumes to take messages, as under its memory alarm. */
  onBlocked(listener: (isBlocked: boolean, why: string) => void): void {
    this.#model.on('blocked', (why) => listener(true, why))
    this.#model.on('unblocked', () => listener(false, ''))
  }

  /** Makes the exchange unless one of that name exists, of whatever properties, or making it is not allowed to us. */
  async declareExchange(
    name: string,
    type: 'fanout' | 'topic',
    options: { readonly durable: boolean; readonly autoDelete: boolean },
  ): Promise<void> {
    // A refusal closes the channel of the request.
    const scratch = this.#scratch ?? (await this.#openScratch())
    try {
      await scratch.assertExchange(name, type, options)
    } catch (cause) {
      this.#scratch = undefined
      if (!tolerated.has(replyCode(cause) ?? 0)) throw cause
    }
  }

  async #openScratch(): Promise<Channel> {
    const scratch = await this.#model.createChannel()
    scratch.on('error', () => undefined)
    this.#scratch = scratch
    return scratch
  }

  async declareQueue(name: string, kind: QueueKind): Promise<void> {
    await this.#consumer.assertQueue(name, {
      durable: kind.durable || kind.quorum,
      autoDelete: false,
      arguments: {
        'x-expires': kind.unusedLife * 1_000,
        ...(kind.quorum && { 'x-queue-type': 'quorum' }),
      },
    })
  }

  async bindQueue(queue: string, exchange: string, routingKey: string): Promise<void> {
    await this.#consumer.bindQueue(queue, exchange, routingKey)
  }

  /** Delivers each message once, in order; a message that the handler throws on is lost. */
  async consume(queue: string, handler: (content: Buffer) => void): Promise<void> {
    await this.#consumer.consume(
      queue,
      (message) => {
        if (message === null) this.fail(`the broker cancelled the consumer of queue "${queue}"`)
        else handler(message.content)
      },
      { noAck: true },
    )
  }

  /**
   * Hands a message to the broker and waits until it has it. Where the exchange does not exist it reaches no queue: exchanges belong
   * to those who serve, and one that is made with other properties than theirs keeps them from starting.
   * @throws PublishError when the broker refuses it, it reaches no queue, or the link ends before that is known
   */
  async publish(publication: Publication): Promise<void> {
    const { exchange } = publication
    if (!this.#isOpen) throw new PublishError('the link has ended', false)
    if (exchange !== '' && !this.#exchanges.has(exchange)) await this.#find(exchange)
    if (this.#unconfirmed >= mostUnconfirmed) {
      throw new PublishError('the broker is slow to take messages', false)
    }
    await this.#send(publication)
  }

  /** Looks whether an exchange exists. @throws PublishError when it does not */
  async #find(exchange: string): Promise<void> {
    try {
      // A refusal closes the channel of the request.
      const scratch = await this.#model.createChannel()
      scratch.on('error', () => undefined)
      await scratch.checkExchange(exchange)
      await scratch.close()
    } catch (cause) {
      if (replyCode(cause) !== 404) throw new PublishError(causeText(cause), false)
      throw new PublishError(`there is no exchange "${exchange}": no server has been here`, true)
    }
    this.#exchanges.add(exchange)
  }

  #send(publication: Publication): Promise<void> {
    const { promise, resolve, reject } = deferred<void>()
    const { exchange, routingKey, content, messageId, expiration, mandatory } = publication
    this.#unconfirmed += 1
    const options = {
      messageId,
      mandatory,
      persistent: false,
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      ...(expiration !== undefined && { expiration: String(Math.max(1, Math.ceil(expiration))) }),
    }
    try {
      this.#publisher.publish(exchange, routingKey, content, options, (refusal: unknown) => {
        this.#unconfirmed -= 1
        // The broker sends a message back before it confirms it.
        if (this.#returned.delete(messageId)) {
          reject(new PublishError(`no queue takes messages for "${routingKey}"`, true))
        } else if (refusal !== null && refusal !== undefined) {
          reject(new PublishError(`the broker refused the message: ${causeText(refusal)}`, false))
        } else resolve()
      })
    } catch (cause) {
      this.#unconfirmed -= 1
      reject(new PublishError(causeText(cause), false))
    }
    return promise
  }

  /** Has the broker look whether a queue of ours is there, which it answers at once. */
  async look(queue: string): Promise<void> {
    await this.#consumer.checkQueue(queue)
  }

  /** Ends the link with a reason. */
  fail(why: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#ended.resolve(why)
    this.#model.close().catch(() => undefined)
  }

  /** Deletes queues of ours and leaves. */
  async close(queues: readonly string[]): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#ended.resolve('closed')
    for (const queue of queues) await this.#consumer.deleteQueue(queue).catch(() => undefined)
    await this.#model.close().catch(() => undefined)
  }

  #watch(): void {
    this.#model.on('error', (cause) => this.fail(causeText(cause)))
    this.#model.on('close', () => this.fail('the connection was closed'))
    for (const channel of [this.#publisher, this.#consumer]) {
      channel.on('error', (cause) => this.fail(causeText(cause)))
      channel.on('close', () => this.fail('a channel was closed'))
    }
    this.#publisher.on('return', (message: Message) => {
      const { messageId } = message.properties as { messageId?: unknown }
      if (typeof messageId === 'string') this.#returned.add(messageId)
    })
  }
}
