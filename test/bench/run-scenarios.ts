import type { Count } from '../../lib/runtime/clock.ts'
import { SharedNetwork } from './bench-network.ts'
import { raiseKernelLimits } from './kernel-limits.ts'
import type { Profiler } from './profile/profiler.ts'
import { benchRow, type BenchRow } from './row.ts'
import type { Scenario } from './scenario.ts'
import { Teardown } from './teardown.ts'

/** Runs scenarios one after the other. One that fails becomes a row that says so, and the others go on. */
export async function runScenarios(
  scenarios: readonly Scenario[],
  quick: boolean,
  profiler: Profiler | undefined,
): Promise<readonly BenchRow[]> {
  const teardown = new Teardown()
  teardown.onInterruption()
  const begun = performance.now()
  const progress = (text: string): void => {
    const seconds = ((performance.now() - begun) / 1000).toFixed(0)
    process.stderr.write(`bench: ${seconds.padStart(4)} s  ${text}\n`)
  }
  const network = new SharedNetwork(teardown)
  const rows: BenchRow[] = []
  const add = (...more: readonly BenchRow[]): void => {
    rows.push(...more)
  }
  teardown.add(raiseKernelLimits())
  try {
    for (const scenario of scenarios) {
      const own = new Teardown(teardown)
      const end = teardown.add(() => own.run())
      try {
        await scenario.run({ quick, progress, add, network, teardown: own, profiler })
      } catch (cause) {
        progress(`${scenario.name} failed: ${String(cause)}`)
        add(notMeasured(scenario.name, cause))
      } finally {
        await end()
      }
      // The interruption ends the process once it has cleaned up; half a run has no results.
      if (teardown.isInterrupted) await new Promise(() => undefined)
    }
  } finally {
    await teardown.run()
  }
  progress('done')
  return rows
}

/** Marks rows of scenarios that failed, so that they are not taken for measured ones. */
export const notMeasuredNote = 'not measured'

const shownCause: Count = 300

function notMeasured(name: string, cause: unknown): BenchRow {
  const why = String(cause).replaceAll('\n', ' ').slice(0, shownCause)
  return benchRow({ name, side: 'ours', note: `${notMeasuredNote}: ${why}` })
}
