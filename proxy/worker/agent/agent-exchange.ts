/** What becomes of one request to the agents, from one to the next if it has to be? */
import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../../lib/runtime/errors.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import { AnswerTimeout, isConnectionLost } from '../../../lib/fast-http/answer-handler.ts'
import type { FlatFields } from '../../../lib/fast-http/fields.ts'
import { AgentAttempt, type AttemptOwner } from './agent-attempt.ts'
import type { AgentEndpoint, AgentRequest } from './agent-endpoint.ts'
import type { AgentEndpoints } from './agent-endpoints.ts'
import type { Leaving } from '../../../lib/admission/fair-gate.ts'
import type { Seat } from '../../../lib/admission/fair-queue.ts'
import { readAnswerHead } from '../../../lib/http/answer-head.ts'
import { Backoff } from '../../../lib/runtime/backoff.ts'
import type { AnswerReceiver } from '../shared/answer-receiver.ts'
import type { WorkerMetrics } from '../shared/metrics.ts'

/** What exchanges share. */
export interface ExchangeServices {
  readonly endpoints: AgentEndpoints
  readonly clock: Clock
  readonly metrics: WorkerMetrics
  /** For how long agents that cannot be reached are tried again. */
  readonly timeoutConnect: Milliseconds
  /** The head has come, or the exchange is over. */
  readonly answered: (exchange: AgentExchange) => void
  /** An exchange that was started on the seat is over. */
  readonly over: (seat: Seat) => void
}

const firstPause: Milliseconds = 25
const longestPause: Milliseconds = 400
/** After the one at once. */
const mostRepeats: Count = 2
const noEndpoints: ReadonlySet<AgentEndpoint> = new Set()

/** Refusals of an agent that cannot answer now, while another may well. */
const passedOn: ReadonlySet<ReasonCode | undefined> = new Set([
  'directory_not_ready',
  'directory_unavailable',
  'shutting_down',
])

/** A request on its way. It reaches the receiver as one answer or one failure, however many agents got it. */
export class AgentExchange implements Leaving, AttemptOwner {
  readonly startedAt: MonotonicMilliseconds
  readonly request: AgentRequest
  readonly isRepeatable: boolean
  readonly #services: ExchangeServices
  readonly #receiver: AnswerReceiver
  #attempt: AgentAttempt | undefined
  /** Since the last pause. */
  #tried: Set<AgentEndpoint> | undefined
  #backoff: Backoff | undefined
  #repeats: Count = 0
  #cancelPause: Cancel | undefined
  #isOver = false
  #seat: Seat | undefined
  #gone: (() => void) | undefined

  constructor(services: ExchangeServices, request: AgentRequest, receiver: AnswerReceiver) {
    this.#services = services
    this.#receiver = receiver
    this.startedAt = services.clock.now()
    this.request = request
    const { method, body } = request
    // RFC 9110 §9.2.2; bodies are left out, since PUT and DELETE have no meaning for Nova.
    this.isRepeatable = (method === 'GET' || method === 'HEAD') && body === null
  }

  /** The agent that has the request now. */
  get endpoint(): AgentEndpoint | undefined {
    return this.#attempt?.endpoint
  }

  /** When that one got the request. */
  get requestedAt(): MonotonicMilliseconds {
    return this.#attempt?.requestedAt ?? this.startedAt
  }

  /** Its turn has come. The seat is given back when the exchange is over. */
  startOn(seat: Seat): void {
    if (this.#isOver) {
      this.#services.over(seat)
      return
    }
    this.#seat = seat
    this.start()
  }

  /** Calls back when it need not wait for its turn any more. */
  onGone(left: () => void): () => void {
    this.#gone = left
    return () => {
      this.#gone = undefined
    }
  }

  start(): void {
    const { endpoints } = this.#services
    const endpoint = endpoints.next(this.#tried ?? noEndpoints, this.isRepeatable)
    if (endpoint === undefined) {
      this.fail(new MetadataError('agent_unreachable', 'No agent answers'))
      return
    }
    this.#try(endpoint, false)
  }

  /** The receiver can take more. */
  resume(): void {
    this.#attempt?.resume()
  }

  /** The guest does not wait for the answer any more: the connection to the agent is closed, and the receiver is not called. */
  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#cancelPause?.()
    this.#services.answered(this)
    this.#attempt?.abort()
    this.#gone?.()
    this.#leaveSeat()
  }

  /** Ends the exchange with a failure, once. */
  fail(failure: MetadataError): void {
    if (this.#isOver) return
    this.cancel()
    this.#receiver.answerFailed(failure)
  }

  /** The agent that has the request looks down: another one is tried where that is safe. */
  leaveEndpoint(): void {
    const attempt = this.#attempt
    if (this.#isOver || attempt === undefined || (attempt.isSent && !this.isRepeatable)) return
    attempt.abort()
    this.#tryNext(new MetadataError('agent_unreachable', 'The agent looks down'))
  }

  // What an attempt reports; one that was left reports nothing.

  headCame(attempt: AgentAttempt, status: number, fields: FlatFields): boolean {
    const { endpoints, metrics, clock, answered } = this.#services
    const head = readAnswerHead(status, fields, 'agent')
    if (head === undefined) {
      this.#brokeOff(attempt, new Error('the head of the answer is not usable'))
      return false
    }
    if (passedOn.has(head.reason) && this.#mayTryOther(attempt.endpoint)) {
      endpoints.noteFailure(attempt.endpoint, 'answer', `answered ${head.reason ?? status}`)
      attempt.discard()
      this.#tryNext(new MetadataError('agent_unreachable', 'No agent can answer'))
      return true
    }
    endpoints.noteAnswer(attempt.endpoint)
    answered(this)
    metrics.countAgentAnswer(attempt.endpoint.index)
    metrics.observeAgentLatency((clock.now() - this.startedAt) / 1_000)
    this.#receiver.answerHead(status, head.headers, head.reason)
    return true
  }

  dataCame(chunk: Buffer): boolean {
    return this.#receiver.answerData(chunk)
  }

  ended(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#receiver.answerEnd()
    this.#leaveSeat()
  }

  failed(attempt: AgentAttempt, cause: Error): void {
    const { endpoint } = attempt
    const wasNotTaken = !attempt.isSent || isCertificateRefused(cause)
    const isLost = this.isRepeatable && isConnectionLost(cause)
    if (attempt.hasHeadCome || (attempt.hasAnswerBegun && !isLost)) this.fail(failureOf(cause))
    else if (wasNotTaken) {
      const failure = unreachable(cause, endpoint)
      // It may be left in the course of this, with all that others sent there.
      attempt.discard()
      this.#services.endpoints.noteFailure(endpoint, 'connect', causeText(cause))
      if (attempt === this.#attempt) this.#tryNext(failure)
    } else if (isLost && !attempt.isAfresh) {
      // A kept-alive connection can be closed by the agent at the moment a request is written to it: RFC 9112 §9.3.1.
      this.#services.metrics.agentRetries += 1
      this.#try(endpoint, true)
    } else if (!isLost || this.#mayTryOther(endpoint) || !this.#tryAgainLater(endpoint)) {
      this.#brokeOff(attempt, cause)
    }
  }

  #leaveSeat(): void {
    const seat = this.#seat
    this.#seat = undefined
    if (seat !== undefined) this.#services.over(seat)
  }

  #brokeOff(attempt: AgentAttempt, cause: Error): void {
    const { endpoint } = attempt
    const mayTryOther = this.#mayTryOther(endpoint)
    attempt.abort()
    this.#services.endpoints.noteFailure(endpoint, 'answer', causeText(cause))
    if (attempt !== this.#attempt) return
    if (mayTryOther) this.#tryNext(failureOf(cause))
    else this.fail(failureOf(cause))
  }

  #mayTryOther(than: AgentEndpoint): boolean {
    if (!this.isRepeatable) return false
    const next = this.#services.endpoints.next(new Set(this.#tried).add(than), true)
    return next !== undefined && next.health.state !== 'down'
  }

  /**
   * An agent that is killed may still take a connection and die with it, so the one that follows is tried too. No more often than that: a
   * request may be what agents die of.
   * @returns false when that was tried, or when it would be too late
   */
  #tryAgainLater(endpoint: AgentEndpoint): boolean {
    const { clock, metrics, timeoutConnect } = this.#services
    const pause = this.#nextPause()
    if (this.#repeats >= mostRepeats || clock.now() + pause >= this.startedAt + timeoutConnect) {
      return false
    }
    this.#repeats += 1
    this.#attempt = undefined
    this.#cancelPause = clock.schedule(pause, () => {
      metrics.agentRetries += 1
      this.#try(endpoint, true)
    })
    return true
  }

  #nextPause(): Milliseconds {
    this.#backoff ??= new Backoff(firstPause, longestPause)
    return this.#backoff.next()
  }

  #try(endpoint: AgentEndpoint, isAfresh: boolean): void {
    const attempt = new AgentAttempt(this, endpoint, isAfresh, this.#services.clock.now())
    this.#attempt = attempt
    if (isAfresh) endpoint.dispatchAfresh(this.request, attempt)
    else endpoint.dispatch(this.request, attempt)
  }

  /** Tries an agent that was not tried yet; after all of them the first again, a little later, until it is too late. */
  #tryNext(failure: MetadataError): void {
    const { endpoints, metrics, clock, timeoutConnect } = this.#services
    const left = this.#attempt?.endpoint
    this.#attempt = undefined
    // A single agent is waited for by its connector. One that is not configured any more has others in its place.
    const isOnlyOne = endpoints.count < 2 && (left === undefined || endpoints.all.includes(left))
    if (isOnlyOne) {
      this.fail(failure)
      return
    }
    this.#tried ??= new Set()
    if (left !== undefined) this.#tried.add(left)
    if (endpoints.next(this.#tried, this.isRepeatable) !== undefined) {
      metrics.agentFailovers += 1
      this.start()
      return
    }
    const pause = this.#nextPause()
    if (clock.now() + pause >= this.startedAt + timeoutConnect) {
      this.fail(failure)
      return
    }
    this.#tried.clear()
    this.#cancelPause = clock.schedule(pause, () => this.start())
  }
}

/**
 * With TLS 1.3 the other side may refuse our certificate after we think that the handshake is over. Then it has read nothing of what we
 * sent. @see RFC 8446 §4.4.2, §6.2
 */
function isCertificateRefused(cause: Error): boolean {
  return /^ERR_SSL_.*ALERT_(?:.*CERTIFICATE.*|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)$/.test(
    (cause as NodeJS.ErrnoException).code ?? '',
  )
}

function unreachable(cause: Error, endpoint: AgentEndpoint): MetadataError {
  if (cause instanceof MetadataError) return cause
  return new MetadataError('agent_unreachable', `"${endpoint.name}" does not take us`, { cause })
}

function failureOf(cause: Error): MetadataError {
  if (cause instanceof MetadataError) return cause
  return cause instanceof AnswerTimeout
    ? new MetadataError('agent_timeout', 'The agent stopped in the middle of an answer', { cause })
    : new MetadataError('agent_broken_answer', 'The agent gave no whole answer', { cause })
}
