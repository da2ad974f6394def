/** How does a request reach the agent and its answer come back? The only file of the proxy that knows the HTTP client. */
import type { Dispatcher } from 'undici'
import Client from 'undici/lib/dispatcher/client.js'
import Pool from 'undici/lib/dispatcher/pool.js'
import type { Cancel, Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../lib/clock.ts'
import { MetadataError } from '../../lib/errors.ts'
import type { ReasonCode } from '../../lib/reason-codes.ts'
import { agentConnector } from './agent-connector.ts'
import { readAnswerHead } from './answer-head.ts'
import type { WorkerMetrics } from './metrics.ts'
import type { WorkerConfig } from './protocol.ts'

export interface AgentRequest {
  readonly method: string
  /** Raw, as the guest sent it. */
  readonly target: string
  /** Names and values in turn. Host, Connection and Content-Length are added. */
  readonly headers: string[]
  readonly body: Buffer | null
}

/** Who asked. Calls come in the order written; after `answerEnd` or `answerFailed` none follows. */
export interface AnswerReceiver {
  /** @param headers names and values in turn, only those that may reach a guest */
  answerHead(status: number, headers: string[], reason: ReasonCode | undefined): void
  /** @returns false when no more can be taken until `resume()` */
  answerData(chunk: Buffer): boolean
  answerEnd(): void
  /** The whole answer will not come; its head may have. */
  answerFailed(failure: MetadataError): void
}

export interface AgentClientOptions {
  readonly config: WorkerConfig['agent']
  readonly clock: Clock
  readonly metrics: WorkerMetrics
}

/** What every request says it is for; the agent does not read it. */
const origin = 'http://169.254.169.254'

/** Requests that may wait for each connection. Past that, waiting helps nobody: a guest's patience is ten seconds. */
const waitingPerConnection: Count = 64

const longestSweep: Milliseconds = 1_000

/**
 * Speaks HTTP/1.1 over kept-alive connections to the agent's UNIX socket. Works with any agent that speaks Neutron's
 * contract, also with one that closes after every answer.
 */
export class AgentClient {
  readonly #options: AgentClientOptions
  readonly #dispatcherOptions: Client.Options
  readonly #pool: Pool
  /** Those without an answer's head, oldest first. */
  readonly #waiting = new Set<AgentExchange>()
  readonly #waitingLimit: Count
  #sweep: Cancel | undefined

  constructor(options: AgentClientOptions) {
    const { config, clock } = options
    this.#options = options
    this.#dispatcherOptions = {
      connect: agentConnector({ socket: config.socket, limit: config.timeoutConnect, clock }),
      pipelining: 1,
      // One limit from the start of the request, waiting included, is kept here instead.
      headersTimeout: 0,
      bodyTimeout: config.timeoutBody,
    }
    this.#pool = new Pool(origin, {
      ...this.#dispatcherOptions,
      connections: config.connections,
    })
    this.#waitingLimit = config.connections * waitingPerConnection
  }

  send(request: AgentRequest, receiver: AnswerReceiver): AgentExchange {
    const { clock, metrics } = this.#options
    const exchange = new AgentExchange(this, request, receiver, clock.now(), metrics)
    if (this.#waiting.size >= this.#waitingLimit) {
      exchange.fail(new MetadataError('overloaded', 'Too many requests wait for the agent'))
      return exchange
    }
    this.#waiting.add(exchange)
    this.#sweep ??= clock.schedule(this.#sweepInterval(), () => this.#failLate())
    this.#pool.dispatch(exchange.dispatchOptions, exchange)
    return exchange
  }

  /** Sends once more on a connection of its own, which nobody can have half-closed. */
  sendAfresh(exchange: AgentExchange): void {
    const client = new Client(origin, this.#dispatcherOptions)
    client.dispatch(exchange.dispatchOptions, exchange)
    // Closes once the one request is through; nothing can be done about a failure to.
    client.close().catch(() => undefined)
  }

  /** The head has come, or the exchange is over. */
  answered(exchange: AgentExchange): void {
    this.#waiting.delete(exchange)
  }

  now(): MonotonicMilliseconds {
    return this.#options.clock.now()
  }

  async close(): Promise<void> {
    this.#sweep?.()
    await this.#pool.destroy()
  }

  #sweepInterval(): Milliseconds {
    return Math.min(longestSweep, Math.max(5, this.#options.config.timeoutHeaders / 8))
  }

  #failLate(): void {
    const { config, clock } = this.#options
    const oldest = clock.now() - config.timeoutConnect - config.timeoutHeaders
    for (const exchange of this.#waiting) {
      if (exchange.startedAt > oldest) break
      exchange.fail(
        new MetadataError('agent_timeout', 'The agent gave no answer in time', {
          details: { timeoutHeaders: config.timeoutHeaders },
        }),
      )
    }
    this.#sweep =
      this.#waiting.size === 0
        ? undefined
        : clock.schedule(this.#sweepInterval(), () => this.#failLate())
  }
}

/**
 * One request on its way, as undici's dispatcher sees it. Its methods in undici's older form get raw header bytes and
 * cost no object per answer.
 */
export class AgentExchange implements Dispatcher.DispatchHandler {
  readonly startedAt: MonotonicMilliseconds
  readonly dispatchOptions: Dispatcher.DispatchOptions
  readonly #client: AgentClient
  readonly #receiver: AnswerReceiver
  readonly #metrics: WorkerMetrics
  #abort: ((error?: Error) => void) | undefined
  #resume: (() => void) | undefined
  #isRetried = false
  #hasAnswerBegun = false
  #isOver = false

  constructor(
    client: AgentClient,
    request: AgentRequest,
    receiver: AnswerReceiver,
    startedAt: MonotonicMilliseconds,
    metrics: WorkerMetrics,
  ) {
    this.#client = client
    this.#receiver = receiver
    this.#metrics = metrics
    this.startedAt = startedAt
    this.dispatchOptions = {
      path: request.target,
      method: request.method,
      headers: request.headers,
      body: request.body,
    }
  }

  /** The receiver can take more. */
  resume(): void {
    this.#resume?.()
  }

  /** Nobody waits for the answer any more: the connection to the agent is closed, and the receiver hears nothing. */
  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#client.answered(this)
    this.#abort?.()
  }

  /** Ends the exchange with a failure, once. */
  fail(failure: MetadataError): void {
    if (this.#isOver) return
    this.cancel()
    this.#receiver.answerFailed(failure)
  }

  onConnect(abort: (error?: Error) => void): void {
    // Thrown, the request leaves the queue and the connection, which is sound, stays.
    if (this.#isOver) throw new Error('cancelled before it was sent')
    this.#abort = abort
  }

  onResponseStarted(): void {
    this.#hasAnswerBegun = true
  }

  onHeaders(status: number, fields: Buffer[], resume: () => void): boolean {
    if (status < 200) return true
    const head = readAnswerHead(status, fields, 'agent')
    if (head === undefined) {
      this.fail(new MetadataError('agent_broken_answer', 'The head of the answer is not usable'))
      return false
    }
    this.#resume = resume
    this.#client.answered(this)
    this.#metrics.observeAgentLatency((this.#client.now() - this.startedAt) / 1_000)
    this.#receiver.answerHead(status, head.headers, head.reason)
    return true
  }

  onData(chunk: Buffer): boolean {
    return this.#isOver || this.#receiver.answerData(chunk)
  }

  onComplete(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#receiver.answerEnd()
  }

  onError(cause: Error): void {
    if (this.#isOver) return
    if (this.#mayRetry(cause)) {
      this.#isRetried = true
      this.#abort = undefined
      this.#metrics.agentRetries += 1
      this.#client.sendAfresh(this)
      return
    }
    this.fail(failureOf(cause))
  }

  /**
   * A kept-alive connection can be closed by the agent at the moment a request is written to it. Asking again is
   * safe when not a byte of an answer came and the method is idempotent.
   * @see RFC 9110 §9.2.2, RFC 9112 §9.3.1
   */
  #mayRetry(cause: Error): boolean {
    const { method, body } = this.dispatchOptions
    return (
      !this.#isRetried &&
      !this.#hasAnswerBegun &&
      (method === 'GET' || method === 'HEAD') &&
      body === null &&
      connectionLost.has((cause as NodeJS.ErrnoException).code)
    )
  }
}

const connectionLost: ReadonlySet<string | undefined> = new Set([
  'UND_ERR_SOCKET',
  'ECONNRESET',
  'EPIPE',
])

function failureOf(cause: Error): MetadataError {
  if (cause instanceof MetadataError) return cause
  return (cause as NodeJS.ErrnoException).code === 'UND_ERR_BODY_TIMEOUT'
    ? new MetadataError('agent_timeout', 'The agent stopped in the middle of an answer', { cause })
    : new MetadataError('agent_broken_answer', 'The agent gave no whole answer', { cause })
}
