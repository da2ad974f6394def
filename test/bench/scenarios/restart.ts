import { OurSide } from '../our-side.ts'
import { benchRow } from '../row.ts'
import type { Scenario } from '../scenario.ts'
import { runSteadyLoad } from '../steady-load.ts'
import { warmNetwork } from './warm.ts'

const events: readonly {
  readonly name: string
  readonly happen: (ours: OurSide) => Promise<void>
}[] = [
  { name: 'restart-agent', happen: (ours) => ours.restartAgent('SIGTERM') },
  { name: 'kill-agent', happen: (ours) => ours.restartAgent('SIGKILL') },
  {
    // The supervisor alone ends workers in order, when it ends itself.
    name: 'kill-each-worker',
    async happen(ours) {
      for (const pid of ours.workers()) await ours.killWorker(pid)
    },
  },
  { name: 'restart-supervisor', happen: (ours) => ours.restartSupervisor('SIGUSR2') },
  { name: 'kill-supervisor', happen: (ours) => ours.restartSupervisor('SIGKILL') },
]

/** What guests see while parts are restarted in order, and while they are killed. */
export const restart: Scenario = {
  name: 'restart',
  what: 'a constant load while agent, each worker, and supervisor are restarted and killed',
  async run({ quick, progress, add, network: shared, teardown, profiler }) {
    const network = await shared.get(warmNetwork)
    const targets = network.targets()
    for (const { name, happen } of events) {
      progress(`${name}: ${requestsPerSecond} new connections a second`)
      const ours = await OurSide.start({ topology: network.topology, teardown, profiler })
      try {
        const result = await runSteadyLoad({
          targets,
          requestsPerSecond,
          margin: quick ? 1_000 : 3_000,
          event: () => happen(ours),
        })
        add(
          benchRow({
            name,
            side: 'ours',
            keepAlive: false,
            requestsPerSecond: result.requests / result.seconds,
            p50Ms: result.latencies.percentile(0.5),
            p99Ms: result.latencies.percentile(0.99),
            ...result.endings.figures(),
            seconds: result.seconds,
            figures: {
              longestPauseSeconds: result.longestPause / 1000,
              longestAnswerSeconds: (result.latencies.percentile(1) ?? 0) / 1000,
            },
          }),
        )
      } finally {
        await ours.stop()
      }
    }
  },
}

const requestsPerSecond = 200
