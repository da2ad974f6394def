import type { MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { SeededRandom } from '../support/random.ts'
import type { Teardowns } from '../support/teardowns.ts'
import type { ClassReport } from './class-report.ts'

/** How workers forward: everything to the agent, or under leases straight to compute. */
export type Forwarding = 'agent' | 'direct'

/** What a class of attack is given when it runs, in a process of its own. */
export interface AttackContext {
  readonly seed: number
  /** Follows from the seed and the name of the class. */
  readonly random: SeededRandom
  /** Says that everything is set up: the time of the class counts from here. Without it, from the start of the process. */
  begin(): void
  /** On the clock of `performance.now()`: nothing new is begun after it. */
  readonly deadline: MonotonicMilliseconds
  /** True once the deadline has passed and something was tried: on a busy machine that can be later. */
  isOver(): boolean
  /** The environment says the same, so everything in test/support follows it. */
  readonly forwarding: Forwarding
  readonly report: ClassReport
  /** For helpers of test/support that take a test: what they register runs when the class has ended. */
  readonly t: Teardowns
}

/** One way of hurting the service, tried again and again until its time is over. */
export interface AttackClass {
  /** In kebab-case, for `--only`. */
  readonly name: string
  /** One line for `--help`: who does what to whom. */
  readonly what: string
  /** Makes namespaces, changes users, or starts the real proxy. */
  readonly needsRoot: boolean
  /** Absent: both. A class whose subject knows nothing of forwarding runs once. */
  readonly forwarding?: readonly Forwarding[]
  /** Part of the whole time that it gets, compared with the others. @default 1 */
  readonly share?: number
  /** Resolves soon after the deadline. What it throws counts as a failure of the class. */
  run(context: AttackContext): Promise<void>
}
