/** How does one agent get its requests, and what have they shown of it? */
import { metadataIpv4 } from '../../../lib/wire/metadata-address.ts'
import type { Clock, Count, MonotonicMilliseconds } from '../../../lib/runtime/clock.ts'
import type { MetadataError } from '../../../lib/runtime/errors.ts'
import { wireHeaders } from '../../../lib/wire/wire-headers.ts'
import type { AnswerHandler } from '../../../lib/fast-http/answer-handler.ts'
import { RequestPool } from '../../../lib/fast-http/request-pool.ts'
import { UpstreamHealth } from '../../../lib/admission/upstream-health.ts'
import { agentConnector, agentName, type AgentConnector } from './agent-connector.ts'
import { BareHead } from './bare-line-feeds.ts'
import { HealthRequest, type HealthOutcome } from './health-request.ts'
import type { RawLoop } from '../raw/raw-loop.ts'
import type { AgentAddress, WorkerConfig } from '../shared/protocol.ts'

/** A request as an agent gets it. */
export interface AgentRequest {
  readonly method: string
  /** Raw, as the guest sent it. */
  readonly target: string
  /** Names and values in turn. Host, Connection and Content-Length are added. */
  readonly headers: string[]
  readonly body: Buffer | null
}

export interface AgentEndpointOptions {
  readonly index: Count
  readonly address: AgentAddress
  readonly config: Omit<WorkerConfig['agent'], 'addresses'>
  /** How many agents there are in all. */
  readonly agents: Count
  readonly clock: Clock
  readonly loop: RawLoop
  readonly random?: () => number
  /** @see RequestPoolOptions */
  readonly defect: (cause: unknown) => void
}

/** The host that every request names; the agent does not read it. */
const host: string = metadataIpv4

/** One agent: its connections and how it has been lately. */
export class AgentEndpoint {
  readonly index: Count
  readonly name: string
  readonly address: AgentAddress
  readonly health: UpstreamHealth
  /** When anything came from it last; a connection counts. */
  receivedAt: MonotonicMilliseconds
  lastFailure: string | undefined
  /** It takes connections and answers nothing, so any other one is tried first. */
  isSilent = false
  /** It has been silent for longer than a busy one is, so it is given no request. */
  isHung = false
  readonly #connect: AgentConnector
  readonly #pool: RequestPool
  /** Has one connection, on which no guest's request is waited for. */
  readonly #health: RequestPool
  #isProbed = false

  /** @throws Error when its certificates cannot be used */
  constructor(options: AgentEndpointOptions) {
    const { index, address, config, agents, clock, loop, defect } = options
    this.index = index
    this.address = address
    this.name = agentName(address)
    this.receivedAt = clock.now()
    this.health = new UpstreamHealth({
      clock,
      failuresToDown: 3,
      firstPause: 500,
      longestPause: 15_000,
      random: options.random ?? Math.random,
    })
    this.#connect = agentConnector({
      address,
      // Together they take no longer than one may.
      limit: config.timeoutConnect / agents,
      triesAgain: agents === 1,
      clock,
      loop,
    })
    const poolOptions = {
      host,
      connect: this.#connect,
      // One limit from the start of the request, waiting included, is kept by the client instead.
      timeoutHeaders: 0,
      timeoutBody: config.timeoutBody,
      mender: () => new BareHead(),
      defect,
    }
    this.#pool = new RequestPool(poolOptions)
    this.#health = new RequestPool(poolOptions)
  }

  dispatch({ method, target: path, headers, body }: AgentRequest, handler: AnswerHandler): void {
    this.#pool.dispatch({ path, method, headers, body }, handler)
  }

  /** On a connection of its own, which the agent cannot have half-closed. */
  dispatchAfresh(request: AgentRequest, handler: AnswerHandler): void {
    const { method, target: path, headers, body } = request
    this.#pool.dispatchAfresh({ path, method, headers, body }, handler)
  }

  /** Queries whether it is ready; any answer is a sign of life. Calls back once, unless it is cancelled. */
  requestHealth(done: (outcome: HealthOutcome | Error) => void): HealthRequest {
    const request = new HealthRequest(done)
    const headers = [wireHeaders.canary, '1']
    this.#health.dispatch({ path: '/', method: 'GET', headers }, request)
    return request
  }

  /**
   * Finds out whether it still takes part in a handshake, since a host that lost its power sends nothing at all. One at a time; without
   * TLS the kernel would answer for a process that hangs, so nothing is tried.
   */
  probe(clock: Clock, failed: (cause: MetadataError) => void): void {
    if (this.#isProbed || this.address.kind === 'unix') return
    this.#isProbed = true
    this.tryConnecting((failure) => {
      this.#isProbed = false
      if (failure === undefined) this.receivedAt = clock.now()
      else failed(failure)
    })
  }

  /** Connects and hangs up. */
  tryConnecting(tried: (failure: MetadataError | undefined) => void): void {
    this.#connect((error, socket) => {
      socket?.on('error', () => undefined)
      socket?.destroy()
      tried(error === null ? undefined : (error as MetadataError))
    })
  }

  /** Lets running requests end and takes no more. */
  retire(): void {
    this.#pool.retire()
    this.#health.retire()
  }

  close(): void {
    this.#pool.destroy()
    this.#health.destroy()
  }
}
