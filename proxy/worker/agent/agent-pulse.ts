/** Does an agent still answer? It gets a request that it answers by itself, since compute may take its time over those of guests. */
import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import type { AgentEndpoint } from './agent-endpoint.ts'
import type { HealthOutcome, HealthRequest } from './health-request.ts'

/** What of an agent is needed to query it. */
export interface QueriedAgent extends Pick<AgentEndpoint, 'receivedAt' | 'isSilent'> {
  readonly address: Pick<AgentEndpoint['address'], 'kind'>
  requestHealth(
    done: (outcome: HealthOutcome | Error) => void,
  ): Pick<HealthRequest, 'isSent' | 'cancel'>
}

export interface PulseOptions {
  readonly endpoint: QueriedAgent
  readonly clock: Clock
  /** True while a request waits for it. */
  readonly isWaitedFor: () => boolean
  /**
   * It takes connections and answers nothing. Called once for each health request that was in vain.
   * @param isHung at the second one in a row: so long no busy agent leaves all its workers without an answer
   */
  readonly onSilent: (why: string, isHung: boolean) => void
  /** It has answered the health request. */
  readonly onAnswer: () => void
  /** It could not be queried. */
  readonly onFailure: (cause: Error) => void
}

interface Question {
  readonly request: Pick<HealthRequest, 'isSent' | 'cancel'>
  since: MonotonicMilliseconds
  missed: Count
}

const interval: Milliseconds = 1_000
const mostMissed: Count = 3

/**
 * Queries once a second an agent of this host from which nothing came in that time; one elsewhere only while a request waits for it, since
 * there all hosts would query it. Silence is counted in beats and not in seconds: while this process itself was stopped, or the
 * machine, no beat was missed.
 */
export class AgentPulse {
  readonly #options: PulseOptions
  #cancel: Cancel | undefined
  #question: Question | undefined
  #lastBeat: MonotonicMilliseconds
  /** Neutron's own logs an error for each of our questions, so that one is not queried a second time. */
  #isForeign = false

  constructor(options: PulseOptions) {
    this.#options = options
    this.#lastBeat = options.clock.now()
  }

  start(): void {
    this.#cancel = this.#options.clock.schedule(interval, () => {
      this.start()
      this.#beat()
    })
  }

  stop(): void {
    this.#cancel?.()
    this.#question?.request.cancel()
    this.#question = undefined
  }

  #beat(): void {
    const { endpoint, clock, onSilent, isWaitedFor } = this.#options
    const lastBeat = this.#lastBeat
    this.#lastBeat = clock.now()
    if (this.#question !== undefined) {
      if (!this.#isInVain(this.#question)) return
      this.#question.request.cancel()
      this.#question = undefined
      const seconds = (mostMissed * interval) / 1_000
      onSilent(`silent: no answer to a health request in ${seconds} s`, endpoint.isSilent)
    } else if (endpoint.receivedAt > lastBeat && !endpoint.isSilent) return
    const isHere = endpoint.address.kind === 'unix'
    if (!this.#isForeign && (isHere || endpoint.isSilent || isWaitedFor())) this.#query()
  }

  #isInVain(question: Question): boolean {
    // The connector waits for one that restarts, and has a limit of its own.
    if (!question.request.isSent) return false
    const { receivedAt } = this.#options.endpoint
    question.missed = receivedAt > question.since ? 0 : question.missed + 1
    question.since = Math.max(question.since, receivedAt)
    return question.missed >= mostMissed
  }

  #query(): void {
    const { endpoint, clock, onAnswer, onFailure } = this.#options
    const request = endpoint.requestHealth((outcome) => {
      this.#question = undefined
      if (outcome instanceof Error) {
        onFailure(outcome)
        return
      }
      this.#isForeign = outcome === 'foreign'
      onAnswer()
    })
    this.#question = { request, since: clock.now(), missed: 0 }
  }
}
