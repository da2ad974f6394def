import { OurSide } from '../our-side.ts'
import { benchRow } from '../row.ts'
import type { Scenario } from '../scenario.ts'
import { runSteadyLoad } from '../steady-load.ts'
import { warmNetwork } from './warm.ts'

const events: readonly {
  readonly name: string
  readonly happen: (ours: OurSide, signal: NodeJS.Signals) => Promise<void>
}[] = [
  { name: 'agent', happen: (ours, signal) => ours.restartAgent(signal) },
  {
    name: 'workers',
    async happen(ours, signal) {
      for (const pid of ours.workers()) await ours.restartWorker(pid, signal)
    },
  },
  { name: 'opener', happen: (ours, signal) => ours.restartProxy(signal) },
]

/** What guests see while parts are restarted in order, and while they are killed. */
export const restart: Scenario = {
  name: 'restart',
  what: 'a constant load while agent, each worker, and opener are restarted and killed',
  async run({ quick, progress, add, network: shared, teardown }) {
    const network = await shared.get(warmNetwork)
    const targets = network.targets()
    for (const { name: part, happen } of events) {
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        const name = `${signal === 'SIGTERM' ? 'restart' : 'kill'}-${part}`
        progress(`${name}: 200 new connections a second`)
        const ours = await OurSide.start({ topology: network.topology, teardown })
        try {
          const result = await runSteadyLoad({
            targets,
            requestsPerSecond: 200,
            margin: quick ? 1_000 : 3_000,
            event: () => happen(ours, signal),
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
    }
  },
}
