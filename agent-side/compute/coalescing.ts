/**
 * Gives one answer of compute to several requests for the same thing at nearly the same time. Off unless the operator
 * gives it a time to live. Its rules, all of which must hold:
 *
 * - a GET without a body;
 * - its target, as the guest sent it, names one of the documents below and has no query, escape, `..` or doubled slash,
 *   since Nova would read those as the name of something else;
 * - the same instance, project and address as before: all that compute gets to know of the guest. No header of a guest travels to
 *   compute, so nothing else can change the answer;
 * - the answer is 200, whole, and small; it is kept for `ttl` from when its request was sent.
 *
 * Shared are `user_data`, `network_data.json`, `vendor_data.json`, `vendor_data2.json` and the EC2 tree. Never `password`,
 * which changes, and never `meta_data.json`: each has a random seed of its own, and two guests' programs that seed
 * themselves must not get the same one.
 */
import { LRUCache } from 'lru-cache'
import type { Bytes, Clock, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { ForwardCall, Forwarded, Forwarder } from './compute-client.ts'
import { relayKept, type ComputeRequest, type KeptAnswer } from './exchange.ts'

export interface CoalescingOptions {
  readonly compute: Forwarder
  readonly clock: Clock
  readonly ttl: Milliseconds
  /** How much memory all kept answers may take. */
  readonly maxBytes: Bytes
  readonly observer?: { shared(): void }
}

interface Shared {
  readonly answer: KeptAnswer
  readonly sentAt: MonotonicMilliseconds
  readonly upstream: Forwarded['upstream']
}

const openstackDocument =
  /^\/openstack\/[\w.-]+\/(?:user_data|network_data\.json|vendor_data2?\.json)$/
const ec2Document =
  /^\/(?:latest|1\.0|\d{4}-\d\d-\d\d)\/(?:user-data|meta-data(?:\/[\w.:=-]+)*\/?)$/

/** What an entry costs beside its body. */
const entryBytes: Bytes = 1_024

/** True for requests whose answers may be shared; see the top of this file. */
export function mayShareAnswer({ method, target, body }: ComputeRequest): boolean {
  if (method !== 'GET' || body !== undefined || target.includes('..')) return false
  return openstackDocument.test(target) || ec2Document.test(target)
}

/** Stands before the compute client and sends it only what was not sent a moment ago. */
export class CoalescingCompute implements Forwarder {
  readonly #options: CoalescingOptions
  readonly #shared: LRUCache<string, Shared>
  readonly #onTheirWay = new Map<string, Promise<Shared | undefined>>()

  constructor(options: CoalescingOptions) {
    this.#options = options
    this.#shared = new LRUCache({
      maxSize: options.maxBytes,
      sizeCalculation: ({ answer }) =>
        answer.body.reduce((sum, chunk) => sum + chunk.length, entryBytes),
    })
  }

  forward(call: ForwardCall): Promise<Forwarded> {
    return mayShareAnswer(call.request)
      ? this.#forwardShared(call)
      : this.#options.compute.forward(call)
  }

  async #forwardShared(call: ForwardCall): Promise<Forwarded> {
    const { instanceId, projectId, sourceIp } = call.identity
    const key = `${instanceId} ${projectId} ${sourceIp} ${call.request.target}`
    // Without a pause when there is nothing to wait for: all others of this tick would be sent as well.
    const coming = this.#onTheirWay.get(key)
    const known = this.#young(this.#shared.get(key))
    const shared = known ?? (coming && (await coming))
    if (shared === undefined || call.downstream.isGone) return this.#lead(key, call)
    this.#options.observer?.shared()
    relayKept(shared.answer, call.downstream)
    return {
      kind: 'relayed',
      status: shared.answer.status,
      upstream: shared.upstream,
      // Nothing was sent, so nothing new is known of the instance.
      attempts: 0,
    }
  }

  /** Sends, and lets those who come meanwhile have the answer. When there is none to share they are sent by themselves. */
  async #lead(key: string, call: ForwardCall): Promise<Forwarded> {
    const sentAt = this.#options.clock.now()
    const forwarding = this.#options.compute.forward({ ...call, keepsGood: true })
    const result = forwarding.then(
      (forwarded): Shared | undefined =>
        forwarded.kind === 'kept' && forwarded.status === 200
          ? { answer: forwarded.answer, sentAt, upstream: forwarded.upstream }
          : undefined,
      () => undefined,
    )
    this.#onTheirWay.set(key, result)
    try {
      const forwarded = await forwarding
      const shared = await result
      if (shared === undefined || forwarded.kind !== 'kept') return forwarded
      this.#shared.set(key, shared)
      relayKept(shared.answer, call.downstream)
      const { status, upstream, attempts } = forwarded
      return { kind: 'relayed', status, upstream, attempts }
    } finally {
      if (this.#onTheirWay.get(key) === result) this.#onTheirWay.delete(key)
    }
  }

  #young(shared: Shared | undefined): Shared | undefined {
    const { clock, ttl } = this.#options
    return shared !== undefined && clock.now() - shared.sentAt < ttl ? shared : undefined
  }
}
