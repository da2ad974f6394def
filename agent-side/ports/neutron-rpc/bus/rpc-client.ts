import type { Clock, Count, Milliseconds } from '../../../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../../../lib/runtime/errors.ts'
import type { AmqpLink } from '../amqp/amqp-link.ts'
import { deferred } from '../../../../lib/runtime/deferred.ts'
import { outcomeOf } from '../../directory/metrics.ts'
import type { NeutronRpcMetrics } from '../metrics.ts'
import {
  decodeMessage,
  encodeRequest,
  hexId,
  type RemoteFailure,
  type RpcRequest,
} from './oslo-envelope.ts'

/** What {@link RpcClient} works with. */
export interface RpcClientOptions {
  /** `control_exchange` of the servers. */
  readonly exchange: string
  /** Calls that may wait for an answer; further ones are refused at once. */
  readonly maxOutstanding: Count
  readonly clock: Clock
  readonly metrics: NeutronRpcMetrics
}

/** A broker takes a message within milliseconds. One that does not take it now may do so in an hour, when its memory is free again. */
export const confirmLimit: Milliseconds = 1_500

interface Waiting {
  settle(outcome: { readonly result: unknown } | { readonly error: MetadataError }): void
  result: unknown
}

function unavailable(
  message: string,
  details: Record<string, unknown>,
  cause?: unknown,
): MetadataError {
  return new MetadataError('directory_unavailable', message, {
    details,
    ...(cause !== undefined && { cause }),
  })
}

/** The Python class of the exception that a server answered with; absent when it did not answer with one. */
export function remoteClass(thrown: unknown): string | undefined {
  const name: unknown = thrown instanceof MetadataError ? thrown.details['remoteClass'] : undefined
  return typeof name === 'string' ? name : undefined
}

/**
 * Calls Neutron's servers by oslo.messaging's rules. A time limit belongs to the call that has it: one that ran out makes
 * no later one longer.
 */
export class RpcClient {
  readonly #options: RpcClientOptions
  readonly #waiting = new Map<string, Waiting>()
  #link: AmqpLink | undefined
  #replyQueue = ''

  constructor(options: RpcClientOptions) {
    this.#options = options
  }

  get outstanding(): Count {
    return this.#waiting.size
  }

  /** @param replyQueue where servers put their answers */
  attach(link: AmqpLink, replyQueue: string): void {
    this.#link = link
    this.#replyQueue = replyQueue
  }

  /** The link is gone or takes nothing: callers need not wait on. */
  detach(why: string): void {
    this.#link = undefined
    const error = unavailable('Cannot query Neutron: the broker is gone', { cause: why })
    for (const waiting of this.#waiting.values()) waiting.settle({ error })
  }

  /**
   * Calls whichever server takes the message first.
   * @returns the result, JSON as the server wrote it
   * @throws MetadataError `directory_timeout`, or `directory_unavailable` when there is no broker, no server, or the server
   * answered with an exception (see {@link remoteClass})
   */
  async call(topic: string, request: RpcRequest, timeout: Milliseconds): Promise<unknown> {
    const { metrics, clock } = this.#options
    const { method } = request
    const begun = clock.now()
    try {
      const result = await this.#send(topic, request, timeout)
      metrics.queried(method, 'answered', clock.now() - begun)
      return result
    } catch (thrown) {
      const outcome = remoteClass(thrown) === undefined ? outcomeOf(thrown) : 'rejected'
      metrics.queried(method, outcome, clock.now() - begun)
      throw thrown
    }
  }

  /** Sends without waiting for an answer. @throws MetadataError `directory_unavailable` when the broker does not take it */
  async cast(topic: string, request: RpcRequest, expiration: Milliseconds): Promise<void> {
    const content = encodeRequest(request, new Date(this.#options.clock.wallTime()))
    const outcome = await this.#publish(topic, content, expiration).then(
      () => 'sent' as const,
      (thrown: unknown) => thrown,
    )
    this.#options.metrics.queried(request.method, outcome === 'sent' ? 'sent' : 'failed')
    if (outcome !== 'sent') throw outcome
  }

  /** Takes what arrived in the reply queue. */
  handleReply(content: Buffer): void {
    const { metrics } = this.#options
    let message
    try {
      message = decodeMessage(content)
    } catch {
      metrics.droppedMessage('unreadable_reply')
      return
    }
    const waiting = message.kind === 'reply' ? this.#waiting.get(message.messageId) : undefined
    if (message.kind !== 'reply' || waiting === undefined) {
      metrics.droppedMessage('late_reply')
      return
    }
    if (message.failure !== undefined) {
      waiting.settle({ error: remoteError(message.failure) })
      return
    }
    // Older servers send the result and the end of it apart.
    if (message.result !== null) waiting.result = message.result
    if (message.ending) waiting.settle({ result: waiting.result })
  }

  #send(topic: string, request: RpcRequest, timeout: Milliseconds): Promise<unknown> {
    const { maxOutstanding, clock } = this.#options
    if (this.#waiting.size >= maxOutstanding) {
      throw unavailable('Cannot query Neutron: too many queries wait for an answer', {
        outstanding: this.#waiting.size,
      })
    }
    const messageId = hexId()
    const { promise, resolve, reject } = deferred<unknown>()
    const waiting: Waiting = {
      result: null,
      settle: (outcome) => {
        cancel()
        this.#waiting.delete(messageId)
        if ('error' in outcome) reject(outcome.error)
        else resolve(outcome.result)
      },
    }
    const cancel = clock.schedule(timeout, () => {
      const details = { method: request.method, topic, timeout }
      const message = `Cannot query Neutron: no answer to "${request.method}" in time`
      waiting.settle({ error: new MetadataError('directory_timeout', message, { details }) })
    })
    this.#waiting.set(messageId, waiting)
    const reply = { messageId, queue: this.#replyQueue }
    const content = encodeRequest(request, new Date(clock.wallTime()), reply)
    // A query that no server took in time must not be answered after all: the broker drops it.
    this.#publish(topic, content, timeout).catch((error: unknown) => {
      if (error instanceof MetadataError) waiting.settle({ error })
    })
    return promise
  }

  async #publish(topic: string, content: Buffer, expiration: Milliseconds): Promise<void> {
    const link = this.#link
    if (link === undefined) throw unavailable('Cannot query Neutron: there is no broker', { topic })
    const { exchange, clock } = this.#options
    const published = link.publish({
      exchange,
      routingKey: topic,
      content,
      messageId: hexId(),
      expiration,
      mandatory: true,
    })
    try {
      await soon(published, clock)
    } catch (cause) {
      const message = `Cannot query Neutron: ${causeText(cause)}`
      throw unavailable(message, { topic, exchange }, cause)
    }
  }
}

/** Waits for the broker to take a message, for as long as brokers need. */
function soon(published: Promise<void>, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.schedule(confirmLimit, () => {
      reject(new Error(`the broker has not taken the message within ${confirmLimit} ms`))
    })
    published.then(resolve, reject).finally(cancel)
  })
}

function remoteError(failure: RemoteFailure): MetadataError {
  const message = `Cannot query Neutron: the server answered with ${failure.className}`
  return unavailable(message, { remoteClass: failure.className, remoteMessage: failure.message })
}
