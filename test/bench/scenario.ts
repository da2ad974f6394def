import type { SharedNetwork } from './bench-network.ts'
import type { Profiler } from './profile/profiler.ts'
import type { BenchRow } from './row.ts'
import type { Teardown } from './teardown.ts'

/** What a scenario is given. */
export interface ScenarioOptions {
  /** A quick look instead of figures worth keeping. */
  readonly quick: boolean
  readonly progress: (text: string) => void
  /** Takes in what was measured, at once, so that it is not lost when the rest fails. */
  readonly add: (...rows: readonly BenchRow[]) => void
  readonly network: SharedNetwork
  readonly teardown: Teardown
  /** For our sides, where profiles are wanted. */
  readonly profiler: Profiler | undefined
}

/** One thing to measure. */
export interface Scenario {
  /** For `--only`. */
  readonly name: string
  readonly what: string
  run(options: ScenarioOptions): Promise<void>
}
