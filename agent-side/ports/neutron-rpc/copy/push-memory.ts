import type {
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../../lib/runtime/clock.ts'
import type { PortId } from '../../../../lib/identity/ids.ts'
import type { NeutronPort } from '../../directory/neutron-port.ts'
import type { Cover } from './cover.ts'
import type { PortEvent } from '../bus/versioned-object.ts'

/** The last that was pushed of a port. */
export interface Pushed {
  /** Absent when it was deleted. */
  readonly held?: NeutronPort
  readonly reportedAt: MonotonicMilliseconds
  /** Of which connection the push came. */
  readonly era: number
}

/** A push may be overtaken by another server's so much later one, and an answer may be read from a database that lags by less. */
const updateLife: Milliseconds = 60_000
/** A push that was read before a deletion may still be on its way so long after it. */
const deletionLife: Milliseconds = 15 * 60_000

/** True when the second is known to be the later state of the same port. */
export function isOlder(one: NeutronPort, other: NeutronPort): boolean {
  return one.revision !== undefined && other.revision !== undefined && one.revision < other.revision
}

/**
 * What was pushed lately, of whatever network. An answer that was read before a push may arrive after it, and whether a push concerns
 * a part that is being fetched is known only then: so all pushes are kept for as long as a query is under way, and a while longer.
 */
export class PushMemory {
  readonly #clock: Clock
  readonly #most: Count
  /** In the order of arrival. */
  readonly #updates = new Map<PortId, Pushed>()
  readonly #deletions = new Map<PortId, Pushed>()
  readonly #underWay = new Set<Cover>()
  #era = 0
  #forgottenUntil: MonotonicMilliseconds = -Infinity

  /** @param most ports remembered of each kind */
  constructor(clock: Clock, most: Count) {
    this.#clock = clock
    this.#most = most
  }

  /** Pushes that were sent meanwhile may be lost: those from before it do not contradict what is fetched from now on. */
  beginEra(): void {
    this.#era += 1
  }

  /** A query leaves; what is pushed from now on is kept until it is {@link settled}. */
  left(query: Cover): void {
    this.#underWay.add(query)
  }

  settled(query: Cover): void {
    this.#underWay.delete(query)
  }

  get(portId: PortId): Pushed | undefined {
    return this.#deletions.get(portId) ?? this.#updates.get(portId)
  }

  /** True when a push is of the present connection and came after the time. */
  isSince(pushed: Pushed, since: MonotonicMilliseconds): boolean {
    return pushed.era === this.#era && pushed.reportedAt > since
  }

  /** Ports that exist, as pushed on the present connection after the time. */
  *updatedSince(since: MonotonicMilliseconds): Iterable<NeutronPort> {
    for (const pushed of this.#updates.values()) {
      if (pushed.held !== undefined && this.isSince(pushed, since)) yield pushed.held
    }
  }

  /** False when there were too many pushes to remember all since the time. */
  remembersSince(since: MonotonicMilliseconds): boolean {
    return this.#forgottenUntil < since
  }

  /** @returns false for a push that was overtaken by a later one of the same port */
  note(event: PortEvent): boolean {
    const reportedAt = this.#clock.now()
    const era = this.#era
    if (event.kind === 'deleted') {
      this.#updates.delete(event.portId)
      this.#append(this.#deletions, event.portId, { reportedAt, era }, reportedAt - deletionLife)
      return true
    }
    const { held } = event
    const { portId } = held.port
    const before = this.#updates.get(portId)?.held
    if (this.#deletions.has(portId) || (before !== undefined && isOlder(held, before))) return false
    let oldest = reportedAt - updateLife
    for (const { fetchedAt } of this.#underWay) oldest = Math.min(oldest, fetchedAt - updateLife)
    this.#append(this.#updates, portId, { held, reportedAt, era }, oldest)
    return true
  }

  #append(
    pushes: Map<PortId, Pushed>,
    portId: PortId,
    pushed: Pushed,
    keptSince: MonotonicMilliseconds,
  ): void {
    pushes.delete(portId)
    pushes.set(portId, pushed)
    for (const [oldest, { reportedAt }] of pushes) {
      const isKept = reportedAt >= keptSince
      if (isKept && pushes.size <= this.#most) break
      pushes.delete(oldest)
      if (isKept) this.#forgottenUntil = reportedAt
    }
  }
}
