/** Which agent gets a request, and which next? */
import { isDeepStrictEqual } from 'node:util'
import { Backoff } from '../../../lib/runtime/backoff.ts'
import type { Cancel, Clock, Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import { causeText } from '../../../lib/runtime/errors.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import type { UpstreamFailure } from '../../../lib/admission/upstream-health.ts'
import { AgentEndpoint } from './agent-endpoint.ts'
import { AgentPulse } from './agent-pulse.ts'
import type { RawLoop } from '../raw/raw-loop.ts'
import type { AgentAddress, AgentReport, WorkerConfig } from '../shared/protocol.ts'

export interface AgentEndpointsOptions {
  readonly config: WorkerConfig['agent']
  readonly clock: Clock
  readonly loop: RawLoop
  readonly logger: Logger
  /** @see RequestPoolOptions */
  readonly defect: (cause: unknown) => void
  /** One that looked well looks down now, or one that is silent hangs. */
  readonly onDown: (endpoint: AgentEndpoint) => void
  /** True while a request waits for it. */
  readonly isWaitedFor: (endpoint: AgentEndpoint) => boolean
  /** What {@link AgentEndpoints.reports} returns has changed. */
  readonly onChange: () => void
}

/** Of the text that the supervisor gets. */
const longestFailure: Count = 500
/**
 * One that could not be connected to is tried again after so long, whether there are requests or not: a central agent that a thousand
 * hosts wait for would spend all its time on handshakes otherwise.
 */
const firstPause: Milliseconds = 5_000
const longestPause: Milliseconds = 60_000

/** The agents in order of preference. Those that look down come last instead of being left out. */
export class AgentEndpoints {
  readonly #options: AgentEndpointsOptions
  #all: readonly AgentEndpoint[]
  #answering: AgentEndpoint | undefined
  readonly #meetings = new Map<AgentEndpoint, Cancel>()
  readonly #pauses = new Map<AgentEndpoint, Backoff>()
  readonly #pulses = new Map<AgentEndpoint, AgentPulse>()

  constructor(options: AgentEndpointsOptions) {
    this.#options = options
    this.#all = this.#made(options.config.addresses)
  }

  get all(): readonly AgentEndpoint[] {
    return this.#all
  }

  get count(): Count {
    return this.#all.length
  }

  /**
   * Finds out whether they can be connected to at all, so that a wrong path, group or certificate is known before a guest meets it.
   * One that cannot is tried again until it can.
   */
  meet(endpoints = this.#all): void {
    for (const endpoint of endpoints) {
      this.#meet(endpoint)
      if (this.#options.config.checksHealth) this.#watch(endpoint)
    }
  }

  /** Notices within four seconds that one is silent, and within seven that it hangs. */
  #watch(endpoint: AgentEndpoint): void {
    if (this.#pulses.has(endpoint)) return
    const { clock, isWaitedFor } = this.#options
    const pulse = new AgentPulse({
      endpoint,
      clock,
      isWaitedFor: () => isWaitedFor(endpoint),
      onSilent: (why, isHung) => this.#noteSilent(endpoint, why, isHung),
      onAnswer: () => this.#noteLife(endpoint),
      onFailure: (cause) => {
        // What cannot be connected to is waited for by the connector.
        endpoint.isSilent = false
        endpoint.isHung = false
        this.noteFailure(endpoint, 'connect', causeText(cause))
      },
    })
    this.#pulses.set(endpoint, pulse)
    pulse.start()
  }

  #noteSilent(endpoint: AgentEndpoint, why: string, isHung: boolean): void {
    const { logger, onDown, onChange } = this.#options
    if (endpoint.isSilent) {
      if (!isHung || endpoint.isHung) return
      endpoint.isHung = true
      onDown(endpoint)
      return
    }
    endpoint.isSilent = true
    endpoint.lastFailure = why
    endpoint.health.failed('connect')
    logger.warn({ agent: endpoint.name, why }, 'Agent looks down')
    onChange()
    onDown(endpoint)
  }

  /** It has answered, whatever the request was. @returns true when it was thought to be down */
  #noteLife(endpoint: AgentEndpoint): boolean {
    endpoint.receivedAt = this.#options.clock.now()
    const wasSilent = endpoint.isSilent
    endpoint.isSilent = false
    endpoint.isHung = false
    if (!wasSilent) return false
    endpoint.health.succeeded()
    this.#isBack(endpoint)
    return true
  }

  #meet(endpoint: AgentEndpoint): void {
    this.#meetings.set(endpoint, () => undefined)
    endpoint.tryConnecting((failure) => {
      if (!this.#meetings.delete(endpoint)) return
      if (failure !== undefined) this.noteFailure(endpoint, 'connect', causeText(failure))
      else if (!endpoint.isSilent && endpoint.health.succeeded()) this.#isBack(endpoint)
    })
  }

  #meetLater(endpoint: AgentEndpoint): void {
    if (this.#meetings.has(endpoint) || !this.#all.includes(endpoint)) return
    const pauses = this.#pauses.get(endpoint) ?? new Backoff(firstPause, longestPause)
    this.#pauses.set(endpoint, pauses)
    const cancel = this.#options.clock.schedule(pauses.next(), () => this.#meet(endpoint))
    this.#meetings.set(endpoint, cancel)
  }

  #isBack(endpoint: AgentEndpoint): void {
    this.#pauses.delete(endpoint)
    this.#options.logger.info({ agent: endpoint.name }, 'Agent is back')
    this.#options.onChange()
  }

  #forget(endpoint: AgentEndpoint): void {
    this.#meetings.get(endpoint)?.()
    this.#meetings.delete(endpoint)
    this.#pauses.delete(endpoint)
    this.#pulses.get(endpoint)?.stop()
    this.#pulses.delete(endpoint)
  }

  /** The one to try, but for those tried already. @param isRepeatable false for what must not be used to find out how one is */
  next(tried: ReadonlySet<AgentEndpoint>, isRepeatable: boolean): AgentEndpoint | undefined {
    const [preferred] = this.#all
    if (tried.size === 0 && preferred?.health.state === 'up' && !preferred.isSilent)
      return preferred
    const left = this.#all.filter((endpoint) => !tried.has(endpoint) && !endpoint.isHung)
    const speaking = left.filter((endpoint) => !endpoint.isSilent)
    const inState = (state: 'up' | 'due'): AgentEndpoint | undefined =>
      speaking.find(({ health }) => health.state === state)
    const well = isRepeatable
      ? speaking.find(({ health }) => health.state !== 'down')
      : (inState('up') ?? inState('due'))
    // A silent one may be only busy: last, since what it is given stays there.
    return well ?? soonest(speaking) ?? left[0]
  }

  /** True when another one than this does not look down. */
  hasOther(than: AgentEndpoint): boolean {
    return this.#all.some((one) => one !== than && !one.isSilent && one.health.state !== 'down')
  }

  noteAnswer(endpoint: AgentEndpoint): void {
    if (!this.#noteLife(endpoint) && endpoint.health.succeeded()) this.#isBack(endpoint)
    if (this.#answering === endpoint) return
    this.#answering = endpoint
    this.#options.onChange()
  }

  noteFailure(endpoint: AgentEndpoint, how: UpstreamFailure, why: string): void {
    const { logger, onDown, onChange } = this.#options
    endpoint.lastFailure = why
    if (how === 'connect') this.#meetLater(endpoint)
    if (!endpoint.health.failed(how)) return
    // A single one that restarts is waited for, which each refused request shows anyway.
    logger.warn({ agent: endpoint.name, why }, 'Agent looks down')
    onChange()
    onDown(endpoint)
  }

  /** Those of before that are still wanted, with the same certificates, keep their connections. */
  replace(addresses: readonly AgentAddress[]): void {
    const before = this.#all
    this.#all = this.#made(addresses, before)
    for (const endpoint of before) {
      if (this.#all.includes(endpoint)) continue
      this.#forget(endpoint)
      endpoint.retire()
    }
    this.meet(this.#all.filter((endpoint) => !before.includes(endpoint)))
    this.#answering = undefined
    this.#options.onChange()
  }

  reports(): readonly AgentReport[] {
    return this.#all.map((endpoint) => ({
      agent: endpoint.name,
      state: endpoint.health.state === 'up' && !endpoint.isSilent ? 'up' : 'down',
      isAnswering: endpoint === this.#answering && endpoint.health.state === 'up',
      ...(endpoint.lastFailure !== undefined && {
        lastFailure: endpoint.lastFailure.slice(0, longestFailure),
      }),
    }))
  }

  close(): void {
    for (const endpoint of this.#all) {
      this.#forget(endpoint)
      endpoint.close()
    }
  }

  #made(
    addresses: readonly AgentAddress[],
    before: readonly AgentEndpoint[] = [],
  ): readonly AgentEndpoint[] {
    const { config, clock, loop, defect } = this.#options
    const agents = addresses.length
    return addresses.map((address, index) => {
      const same = before.find((one) => one.index === index && before.length === agents)
      return same && isDeepStrictEqual(same.address, address)
        ? same
        : new AgentEndpoint({ index, address, config, agents, clock, loop, defect })
    })
  }
}

function soonest(endpoints: readonly AgentEndpoint[]): AgentEndpoint | undefined {
  return endpoints.toSorted((a, b) => a.health.downUntil - b.health.downUntil)[0]
}
