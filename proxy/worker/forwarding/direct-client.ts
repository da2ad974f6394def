/** How does a request under a lease reach compute without the agent? */
import { AdaptiveLimit, isOverloadStatus } from '../../../lib/admission/adaptive-limit.ts'
import type {
  Bytes,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import { FairShare } from '../../../lib/admission/fair-share.ts'
import type { LeasedConcurrency, LeaseUpstream } from '../../../lib/wire/lease-messages.ts'
import { clientSecureContext } from '../../../lib/files/tls-material.ts'
import type { AnswerReceiver } from '../shared/answer-receiver.ts'
import { readAnswerHead } from '../../../lib/http/answer-head.ts'
import { UnsizedAnswer } from '../../../lib/http/unsized-answer.ts'
import {
  AnswerTimeout,
  isConnectionLost,
  type AnswerHandler,
} from '../../../lib/fast-http/answer-handler.ts'
import type { FlatFields } from '../../../lib/fast-http/fields.ts'
import { originConnector } from '../../../lib/fast-http/origin-connector.ts'
import { RequestPool, type Connect } from '../../../lib/fast-http/request-pool.ts'
import { causeText, MetadataError } from '../../../lib/runtime/errors.ts'
import { httpConnector } from '../raw/connect.ts'
import type { RawLoop } from '../raw/raw-loop.ts'
import type { WorkerConfig } from '../shared/protocol.ts'
import { EndpointReach } from './endpoint-reach.ts'

export interface DirectClientOptions {
  readonly config: NonNullable<WorkerConfig['forwarding']>
  /** For leases of an agent that does not send how long compute may take. */
  readonly timeouts: Pick<WorkerConfig['agent'], 'timeoutHeaders' | 'timeoutBody'>
  readonly clock: Clock
  readonly loop: RawLoop
  /** @see RequestPoolOptions */
  readonly defect: (cause: unknown) => void
}

export interface DirectRequest {
  readonly method: string
  /** Raw, as the guest sent it. */
  readonly target: string
}

/** Whose request it is. Until `answerHead` was called, `handBack` may come instead: then nothing reached the guest. */
export interface DirectReceiver extends AnswerReceiver {
  /** @param status compute's answer that must not be relayed from here; `undefined` when there was none */
  handBack(status: number | undefined): void
}

interface Endpoint {
  readonly pool: RequestPool
  readonly reach: EndpointReach
}

/** Where a request may go, while it is thought to work. */
export interface DirectUpstream extends Endpoint {
  readonly url: string
  readonly headers: readonly string[]
}

/**
 * Statuses that are no answer here: 403 and 404 put the identity in doubt, the others the endpoint. The agent sends it once more, knows
 * the other secret and the other endpoints, and can name the reason.
 */
const handedBack: ReadonlySet<number> = new Set([403, 404, 502, 503, 504])

/** What is read of an answer that is not used, so that its connection can be. */
const mostDiscarded: Bytes = 64 * 1024
const mostUpstreams: Count = 64
const usualSpan: Milliseconds = 1

/** Speaks to compute's endpoints over kept-alive connections, a bounded number per endpoint. */
export class DirectClient {
  readonly #options: DirectClientOptions
  readonly #endpoints = new Map<string, Endpoint>()
  /** Of the leases of this moment. */
  readonly #known = new WeakMap<LeaseUpstream, DirectUpstream>()
  /** Why an endpoint of a lease has no connections, as when its file of authorities cannot be read. */
  #unusable: string | undefined
  readonly #share = new FairShare()
  /** Absent until the agent has sent it. */
  #limit: AdaptiveLimit | undefined
  #concurrency: LeasedConcurrency | undefined

  constructor(options: DirectClientOptions) {
    this.#options = options
  }

  get running(): Count {
    return this.#share.running
  }

  /** Requests that may be on their way to compute. */
  get limit(): Count {
    const { connections } = this.#options.config
    return this.#limit === undefined ? connections : Math.min(this.#limit.value, connections)
  }

  /** What the agent allows. The limit falls when compute reports that it is overloaded or does not answer in time, and rises again. */
  setConcurrency(concurrency: LeasedConcurrency): void {
    const { min, max } = concurrency
    if (this.#concurrency?.min === min && this.#concurrency.max === max) return
    this.#concurrency = concurrency
    this.#limit = new AdaptiveLimit({ clock: this.#options.clock, min, max, start: max })
  }

  /** Takes a slot for a request of the project, to be given to `send`. @returns false when it has enough of them, or all are taken */
  tryEnter(project: string): boolean {
    if (this.#share.tryEnter(project, this.limit)) return true
    this.#limit?.wanted()
    return false
  }

  /** Whether any endpoint of the leases until now is reached, and why not; `undefined` before the first lease. */
  get reach(): { readonly failure: string | undefined } | undefined {
    const failures = [...this.#endpoints.values()].map(({ reach }) => reach.failure)
    if (failures.includes(undefined)) return { failure: undefined }
    const failure = failures[0] ?? this.#unusable
    return failure === undefined ? undefined : { failure }
  }

  /** The first of the endpoints that is reached; `undefined` when none is. */
  choose(upstreams: readonly LeaseUpstream[]): DirectUpstream | undefined {
    for (const upstream of upstreams) {
      const chosen = this.#known.get(upstream) ?? this.#takeUp(upstream)
      if (chosen?.reach.isUsable() === true) return chosen
    }
    return undefined
  }

  #takeUp(upstream: LeaseUpstream): DirectUpstream | undefined {
    const endpoint = this.#endpointOf(upstream)
    if (endpoint === undefined) return undefined
    const made = { url: upstream.url, headers: upstream.headers, ...endpoint }
    this.#known.set(upstream, made)
    return made
  }

  /** @param project for which `tryEnter` gave a slot, which is given back at the end */
  send(
    upstream: DirectUpstream,
    request: DirectRequest,
    project: string,
    receiver: DirectReceiver,
  ): DirectExchange {
    const began = this.#options.clock.now()
    const sent = { reach: upstream.reach, method: request.method, project, began }
    const exchange = new DirectExchange(this, sent, receiver)
    upstream.pool.dispatch(
      { path: request.target, method: request.method, headers: upstream.headers },
      exchange,
    )
    return exchange
  }

  /** An exchange is over. */
  ended({ project }: SentRequest): void {
    this.#share.leave(project)
  }

  /** The head of an answer is here. */
  answered({ began }: SentRequest, status: number): void {
    if (isOverloadStatus(status)) this.#limit?.overloaded(began)
    // How long it took depends as much on how busy this process is. The agent, which waits for others to have room, looks at that.
    else this.#limit?.answered('any', usualSpan)
  }

  /** No answer came in time. */
  timedOut({ began }: SentRequest): void {
    this.#limit?.overloaded(began)
  }

  worked({ reach }: SentRequest): void {
    reach.worked()
  }

  failed({ reach }: SentRequest, cause: Error): void {
    reach.failed(cause)
  }

  close(): void {
    for (const { pool } of this.#endpoints.values()) pool.destroy()
    this.#endpoints.clear()
  }

  /** @throws Error for a file that cannot be read */
  #connectorTo({ url, caFile, insecure }: LeaseUpstream): Connect {
    const { config, loop } = this.#options
    const timeout = config.timeoutConnect
    if (url.startsWith('http:')) return httpConnector(loop, url, timeout)
    const secureContext = clientSecureContext({ caFile })
    return originConnector(url, { timeout, rejectUnauthorized: !insecure, secureContext })
  }

  #endpointOf(upstream: LeaseUpstream): Endpoint | undefined {
    const { timeouts, clock, defect } = this.#options
    const { url, caFile, insecure } = upstream
    const { timeoutHeaders = timeouts.timeoutHeaders, timeoutBody = timeouts.timeoutBody } =
      upstream
    const name = `${url} ${insecure} ${timeoutHeaders} ${timeoutBody} ${caFile ?? ''}`
    const known = this.#endpoints.get(name)
    if (known !== undefined) return known
    if (this.#endpoints.size >= mostUpstreams) return undefined
    try {
      const pool = new RequestPool({
        host: new URL(url).host,
        timeoutHeaders,
        timeoutBody,
        defect,
        connect: this.#connectorTo(upstream),
      })
      // Nova answers it without a signature.
      const probed = { method: 'GET', path: '/', headers: [] }
      const probe = (handler: AnswerHandler): void => pool.dispatchAfresh(probed, handler)
      const endpoint = { pool, reach: new EndpointReach({ clock, probe }) }
      this.#endpoints.set(name, endpoint)
      return endpoint
    } catch (cause) {
      // A file that this user cannot read: the agent can, so requests go over it.
      this.#unusable = causeText(cause)
      return undefined
    }
  }
}

/** What is known of a request that was sent. */
interface SentRequest {
  readonly method: string
  readonly reach: EndpointReach
  readonly project: string
  readonly began: MonotonicMilliseconds
}

type State = 'sent' | 'answering' | 'discarding' | 'over'

/** One request on its way. */
export class DirectExchange implements AnswerHandler {
  readonly #client: DirectClient
  readonly #sent: SentRequest
  readonly #receiver: DirectReceiver
  #abort: ((error?: Error) => void) | undefined
  #resume: (() => void) | undefined
  #state: State = 'sent'
  #discarded: Bytes = 0
  #status = 0
  /** Held until its length is known. */
  #unsized: UnsizedAnswer | undefined

  constructor(client: DirectClient, sent: SentRequest, receiver: DirectReceiver) {
    this.#client = client
    this.#sent = sent
    this.#receiver = receiver
  }

  /** The receiver can take more. */
  resume(): void {
    this.#resume?.()
  }

  /** The guest does not wait any more: the connection is closed, and the receiver is not called. */
  cancel(): void {
    if (this.#state === 'over' || this.#state === 'discarding') return
    this.#end()
    this.#abort?.()
  }

  onConnect(abort: (error?: Error) => void): void {
    // Thrown, the request leaves the queue and the connection, which is sound, stays.
    if (this.#state === 'over') throw new Error('cancelled before it was sent')
    this.#abort = abort
  }

  onHeaders(status: number, fields: FlatFields, resume: () => void): boolean {
    this.#client.answered(this.#sent, status)
    const head = handedBack.has(status) ? undefined : readAnswerHead(status, fields, 'compute')
    if (head === undefined) {
      this.#state = 'discarding'
      this.#receiver.handBack(status)
      return true
    }
    this.#client.worked(this.#sent)
    this.#state = 'answering'
    this.#resume = resume
    this.#status = status
    this.#unsized = UnsizedAnswer.of(this.#sent.method, status, head.headers)
    if (this.#unsized === undefined) this.#receiver.answerHead(status, head.headers, undefined)
    return true
  }

  onData(chunk: Buffer): boolean {
    if (this.#state === 'answering') {
      if (this.#unsized?.take(chunk) === true) return true
      this.#handOnUnsized((one) => [...one.headers])
      return !this.#isAnswering() || this.#receiver.answerData(chunk)
    }
    this.#discarded += chunk.length
    if (this.#discarded > mostDiscarded) this.#abort?.()
    return true
  }

  onComplete(): void {
    if (this.#isAnswering()) this.#handOnUnsized((one) => one.sizedHeaders())
    const isAnswer = this.#isAnswering()
    this.#end()
    if (isAnswer) this.#receiver.answerEnd()
  }

  onError(cause: Error): void {
    const state = this.#state
    if (state === 'over') return
    this.#end()
    if (state === 'discarding') return
    const isSlow = cause instanceof AnswerTimeout
    if (isSlow) this.#client.timedOut(this.#sent)
    // A kept-alive connection that the endpoint closed is no sign of a fault there.
    if (!isConnectionLost(cause)) this.#client.failed(this.#sent, cause)
    // The agent sends it again while the guest has had nothing.
    if ((state === 'sent' || this.#unsized !== undefined) && !isSlow) {
      this.#receiver.handBack(undefined)
      return
    }
    this.#receiver.answerFailed(
      isSlow
        ? new MetadataError('compute_timeout', 'Compute gave no whole answer in time', { cause })
        : new MetadataError('compute_broken_answer', 'Compute gave no whole answer', { cause }),
    )
  }

  #handOnUnsized(headersOf: (answer: UnsizedAnswer) => string[]): void {
    const unsized = this.#unsized
    this.#unsized = undefined
    if (unsized === undefined) return
    this.#receiver.answerHead(this.#status, headersOf(unsized), undefined)
    // As much as is held here is taken, whether a pause is wanted or not.
    for (const chunk of unsized.body) if (this.#isAnswering()) this.#receiver.answerData(chunk)
  }

  /** The receiver may cancel whenever it is called. */
  #isAnswering(): boolean {
    return this.#state === 'answering'
  }

  #end(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#client.ended(this.#sent)
  }
}
