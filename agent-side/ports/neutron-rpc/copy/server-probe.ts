import type { Cancel, Clock, Milliseconds } from '../../../../lib/runtime/clock.ts'
import { causeText } from '../../../../lib/runtime/errors.ts'
import type { PortId } from '../../../../lib/identity/ids.ts'
import type { Logger } from '../../../../lib/runtime/log.ts'
import type { NeutronBus } from '../bus/bus.ts'
import type { PushTrust } from './push-trust.ts'
import { Backoff } from '../../../../lib/runtime/backoff.ts'
import { remoteClass } from '../bus/rpc-client.ts'

/** What {@link ServerProbe} queries and what it changes. */
export interface ServerProbeOptions {
  readonly bus: Pick<NeutronBus, 'probe'>
  readonly trust: PushTrust
  readonly clock: Clock
  readonly logger: Logger
  readonly timeout: Milliseconds
  /** A port that exists. */
  readonly sample: () => PortId | undefined
  /** Pushes were not received until now: their version was not known. */
  readonly rebound: () => void
  /** What was found out may have changed how things stand. */
  readonly settled: () => void
}

const firstRetry: Milliseconds = 1_000
const lastRetry: Milliseconds = 60_000

/** The error of a server that has no versioned objects of ports, or does not let them be queried. */
const lacking: ReadonlySet<string> = new Set([
  'NoSuchMethod',
  'UnsupportedVersion',
  'RPCVersionNotSupported',
  'InvalidResourceTypeClass',
  'CallbackNotFound',
])

/** Finds out whether a Neutron server answers, and whether it pushes its ports in a version that is received. */
export class ServerProbe {
  readonly #options: ServerProbeOptions
  #isServerSeen = false
  #isServerMissing = false
  #lastProblem = 'not queried yet'
  #isUp = false
  #isQuerying = false
  #retry: Cancel | undefined
  readonly #backoff = new Backoff(firstRetry, lastRetry)

  constructor(options: ServerProbeOptions) {
    this.#options = options
  }

  /** A server has answered, and no later query was left without answer. */
  get isServerSeen(): boolean {
    return this.#isServerSeen
  }

  /** The last query was left without answer. */
  get isServerMissing(): boolean {
    return this.#isServerMissing
  }

  get lastProblem(): string {
    return this.#lastProblem
  }

  begin(): void {
    this.#isUp = true
    this.#backoff.reset()
    void this.#query()
  }

  end(): void {
    this.#isUp = false
    this.#isServerSeen = false
    this.#isServerMissing = false
    this.#retry?.()
    this.#retry = undefined
  }

  close(): void {
    this.end()
  }

  /** There is more to go by: query now if something is still open. */
  hurry(): void {
    if (this.#options.trust.state === 'unproven' && !this.#isQuerying) void this.#query()
  }

  /** A server has answered another query. */
  answered(): void {
    if (!this.#isUp) return
    this.#isServerSeen = true
    this.#isServerMissing = false
    this.#backoff.reset()
  }

  /** Another query failed: until something is answered, nothing shows that a server is alive. */
  failed(thrown: unknown): void {
    if (!this.#isUp) return
    if (remoteClass(thrown) !== undefined) {
      this.answered()
      return
    }
    this.#isServerSeen = false
    this.#isServerMissing = true
    this.#lastProblem = causeText(thrown)
    this.#later()
  }

  async #query(): Promise<void> {
    if (this.#isQuerying || !this.#isUp) return
    this.#isQuerying = true
    this.#retry?.()
    this.#retry = undefined
    const { bus, trust, timeout, sample, rebound, settled, logger } = this.#options
    const { era } = trust
    const known = sample()
    let isOpen = false
    try {
      const outcome = await bus.probe(known, timeout)
      this.answered()
      if (outcome === 'rebound') {
        logger.warn({}, 'Servers push another version of ports than was listened for')
        rebound()
        trust.proven()
      } else if (outcome === 'received' && trust.era === era) trust.proven()
      // Else a cloud without ports so far, or a port that is gone already.
      else if (sample() !== known) isOpen = true
    } catch (thrown) {
      const className = remoteClass(thrown)
      this.failed(thrown)
      if (className !== undefined && lacking.has(className)) {
        logger.warn({ className }, 'Neutron pushes no ports')
        trust.unsupported()
      } else if (className !== undefined && this.#isUp) this.#later()
    } finally {
      this.#isQuerying = false
    }
    settled()
    if (isOpen || trust.era !== era) this.hurry()
  }

  #later(): void {
    if (this.#retry !== undefined) return
    this.#retry = this.#options.clock.schedule(this.#backoff.next(), () => void this.#query())
  }
}
