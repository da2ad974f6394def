/** Which agent is asked, and which next? */
import { isDeepStrictEqual } from 'node:util'
import type { Clock, Count } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { UpstreamFailure } from '../../lib/upstream-health.ts'
import { AgentEndpoint } from './agent-endpoint.ts'
import type { AgentAddress, AgentReport, WorkerConfig } from './protocol.ts'

export interface AgentEndpointsOptions {
  readonly config: WorkerConfig['agent']
  readonly clock: Clock
  readonly logger: Logger
  /** One that looked well looks down now. */
  readonly onDown: (endpoint: AgentEndpoint) => void
  /** What {@link AgentEndpoints.reports} says has changed. */
  readonly onChange: () => void
}

/** The agents in order of preference. Those that look down come last instead of being left out. */
export class AgentEndpoints {
  readonly #options: AgentEndpointsOptions
  #all: readonly AgentEndpoint[]
  #answering: AgentEndpoint | undefined

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

  /** The one to ask, but for those tried already. @param isRepeatable false for what must not be used to find out how one is */
  next(tried: ReadonlySet<AgentEndpoint>, isRepeatable: boolean): AgentEndpoint | undefined {
    const [preferred] = this.#all
    if (tried.size === 0 && preferred?.health.state === 'up') return preferred
    const left = this.#all.filter((endpoint) => !tried.has(endpoint))
    const inState = (state: 'up' | 'due'): AgentEndpoint | undefined =>
      left.find(({ health }) => health.state === state)
    if (!isRepeatable) return inState('up') ?? inState('due') ?? soonest(left)
    return left.find(({ health }) => health.state !== 'down') ?? soonest(left)
  }

  /** True when another one than this does not look down. */
  hasOther(than: AgentEndpoint): boolean {
    return this.#all.some((endpoint) => endpoint !== than && endpoint.health.state !== 'down')
  }

  noteAnswer(endpoint: AgentEndpoint): void {
    const { clock, logger, onChange } = this.#options
    endpoint.heardAt = clock.now()
    const isBack = endpoint.health.succeeded()
    if (isBack) logger.info({ agent: endpoint.name }, 'Agent is back')
    if (!isBack && this.#answering === endpoint) return
    this.#answering = endpoint
    onChange()
  }

  noteFailure(endpoint: AgentEndpoint, how: UpstreamFailure, why: string): void {
    const { logger, onDown, onChange } = this.#options
    endpoint.lastFailure = why
    if (!endpoint.health.failed(how)) return
    // A single one that restarts is waited for, which each refused request tells of anyway.
    logger.warn({ agent: endpoint.name, why }, 'Agent looks down')
    onChange()
    onDown(endpoint)
  }

  /** Those of before that are still wanted, with the same certificates, keep their connections. */
  replace(addresses: readonly AgentAddress[]): void {
    const before = this.#all
    this.#all = this.#made(addresses, before)
    for (const endpoint of before) if (!this.#all.includes(endpoint)) endpoint.retire()
    this.#answering = undefined
    this.#options.onChange()
  }

  reports(): readonly AgentReport[] {
    return this.#all.map((endpoint) => ({
      agent: endpoint.name,
      state: endpoint.health.state === 'up' ? 'up' : 'down',
      isAnswering: endpoint === this.#answering && endpoint.health.state === 'up',
      ...(endpoint.lastFailure !== undefined && { lastFailure: endpoint.lastFailure }),
    }))
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((endpoint) => endpoint.close()))
  }

  #made(
    addresses: readonly AgentAddress[],
    before: readonly AgentEndpoint[] = [],
  ): readonly AgentEndpoint[] {
    const { config, clock } = this.#options
    const agents = addresses.length
    return addresses.map((address, index) => {
      const same = before.find((one) => one.index === index && before.length === agents)
      return same && isDeepStrictEqual(same.address, address)
        ? same
        : new AgentEndpoint({ index, address, config, agents, clock })
    })
  }
}

function soonest(endpoints: readonly AgentEndpoint[]): AgentEndpoint | undefined {
  return endpoints.toSorted((a, b) => a.health.downUntil - b.health.downUntil)[0]
}
