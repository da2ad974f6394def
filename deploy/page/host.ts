/** How do both daemons of this host stand, as far as they can be queried? */
import { isMapping } from '../../lib/runtime/mapping.ts'
import type { Daemon } from '../../lib/config/defaults.ts'
import {
  AdminUnreachableError,
  requestAdminJson,
  type AdminAddress,
} from '../../lib/http/admin-client.ts'
import type { Minute } from '../../lib/observe/minute-history.ts'
import { mappings, textOf } from '../../lib/operator/answer-fields.ts'
import { whyElsewhere } from '../../lib/operator/daemons-here.ts'
import { readExplanation, type Explanation } from '../../lib/operator/explanation.ts'
import { fetchHealth, type DaemonHealth } from '../../lib/operator/health-command.ts'
import type { Clock, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'

/** Where the daemons are queried. */
export type AdminAddresses = Readonly<Record<Daemon, AdminAddress>>

/** One daemon. Everything but its health is empty while it cannot be queried. */
export interface DaemonView {
  readonly health: DaemonHealth
  /** Why this host needs none: `not on this host; …`. */
  readonly elsewhere?: string
  /** The body of `/status`. */
  readonly status: Readonly<Record<string, unknown>>
  readonly minutes: readonly Minute[]
}

/** Both. */
export type HostView = Readonly<Record<Daemon, DaemonView>>

/** Several windows that look at once cost the daemons one look. */
const shortest: Milliseconds = 1_000

/** Queries both daemons, and never changes anything. */
export class Host {
  readonly addresses: AdminAddresses
  readonly #clock: Clock
  #looked: { readonly at: MonotonicMilliseconds; readonly view: Promise<HostView> } | undefined

  constructor(addresses: AdminAddresses, clock: Clock) {
    this.addresses = addresses
    this.#clock = clock
  }

  look(): Promise<HostView> {
    const now = this.#clock.now()
    if (this.#looked === undefined || now - this.#looked.at >= shortest) {
      this.#looked = { at: now, view: this.#lookNow() }
    }
    return this.#looked.view
  }

  /** @returns `undefined` when no daemon knows the request, or no guest can be resolved */
  async explain(query: URLSearchParams): Promise<Explanation | undefined> {
    const order: readonly Daemon[] = query.has('request') ? ['agent', 'proxy'] : ['agent']
    for (const daemon of order) {
      const explanation = readExplanation(await this.#query(daemon, `/explain?${query.toString()}`))
      if (explanation !== undefined) return explanation
    }
    return undefined
  }

  async #lookNow(): Promise<HostView> {
    const [proxy, agent] = await Promise.all([this.#daemon('proxy'), this.#daemon('agent')])
    return { proxy, agent }
  }

  async #daemon(daemon: Daemon): Promise<DaemonView> {
    const health = await fetchHealth(daemon, this.addresses[daemon])
    if (!health.reachable) {
      const elsewhere = await whyElsewhere(daemon, this.addresses)
      return { health, ...(elsewhere !== undefined && { elsewhere }), status: {}, minutes: [] }
    }
    const [status, history] = await Promise.all([
      this.#query(daemon, '/status'),
      this.#query(daemon, '/history'),
    ])
    return { health, status, minutes: mappings(history['minutes']).map(readMinute) }
  }

  async #query(daemon: Daemon, path: string): Promise<Readonly<Record<string, unknown>>> {
    try {
      const { value } = await requestAdminJson(this.addresses[daemon], path)
      return isMapping(value) ? value : {}
    } catch (thrown) {
      if (thrown instanceof AdminUnreachableError) return {}
      throw thrown
    }
  }
}

function readMinute(value: Readonly<Record<string, unknown>>): Minute {
  const { at, answers, median, p99 } = value
  const counts = Object.entries(isMapping(answers) ? answers : {})
  return {
    at: textOf(at),
    answers: Object.fromEntries(
      counts.filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
    ),
    ...(typeof median === 'number' && { median }),
    ...(typeof p99 === 'number' && { p99 }),
  }
}
