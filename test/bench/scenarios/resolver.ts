import { BenchProcess } from '../bench-process.ts'
import type { HeldKind } from '../held-ports.ts'
import type { ResolverProgramOptions, ResolverReport } from '../resolver-program.ts'
import { benchRow } from '../row.ts'
import type { Scenario } from '../scenario.ts'

const kinds: readonly HeldKind[] = ['ovn', 'static']

/** Lookups in one process, without HTTP: whether finding a port stays as fast, and ports stay as small, as they get many. */
export const resolver: Scenario = {
  name: 'resolver',
  what: 'lookups in process at 10 k, 100 k and 1 M ports, remembered and not; bytes a port',
  async run({ quick, progress, add, teardown }) {
    for (const kind of kinds) {
      for (const ports of quick ? [10_000, 100_000] : [10_000, 100_000, 1_000_000]) {
        const name = `resolver-${kind}-${ports}`
        progress(name)
        const program = await BenchProcess.start<ResolverReport>(
          'resolver-program.js',
          { kind, ports, span: quick ? 300 : 2_000 } satisfies ResolverProgramOptions,
          teardown,
          ['--expose-gc', '--max-old-space-size=6144'],
        )
        const { bytesPerPort, cached, uncached, wrong } = program.started
        await program.stop()
        for (const [word, rate] of Object.entries({ cached, uncached })) {
          add(
            benchRow({
              name: `${name}-${word}`,
              side: 'ours',
              requestsPerSecond: rate.perSecond,
              errors: 0,
              wrong,
              figures: { lookupsPerCpuSecond: rate.perCpuSecond, bytesPerPort },
            }),
          )
        }
      }
    }
  },
}
