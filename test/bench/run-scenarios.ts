import { SharedNetwork } from './bench-network.ts'
import { raiseKernelLimits } from './kernel-limits.ts'
import { benchRow, type BenchRow } from './row.ts'
import type { Scenario } from './scenario.ts'
import { Teardown } from './teardown.ts'

/** Runs scenarios one after the other. One that fails becomes a row that says so, and the others go on. */
export async function runScenarios(
  scenarios: readonly Scenario[],
  quick: boolean,
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
      try {
        await scenario.run({ quick, progress, add, network, teardown })
      } catch (cause) {
        progress(`${scenario.name} failed: ${String(cause)}`)
        const note = `not measured: ${String(cause).replaceAll('\n', ' ')}`
        add(benchRow({ name: scenario.name, side: 'ours', errors: 1, note }))
      }
    }
  } finally {
    await teardown.run()
  }
  progress('done')
  return rows
}
