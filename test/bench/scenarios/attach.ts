import type { Count } from '../../../lib/runtime/clock.ts'
import { BenchNetwork, planNetworks } from '../bench-network.ts'
import { measureLoad, warmUp } from '../measured-load.ts'
import { OurSide } from '../our-side.ts'
import { benchRow } from '../row.ts'
import type { Scenario, ScenarioOptions } from '../scenario.ts'

interface Size {
  readonly networks: Count
  readonly guests: Count
  /** Whether the cost of a request is measured as well, for comparing sizes. */
  readonly isCostMeasured: boolean
}

const sizes: readonly Size[] = [
  { networks: 1, guests: 100, isCostMeasured: true },
  { networks: 100, guests: 100, isCostMeasured: true },
  { networks: 300, guests: 100, isCostMeasured: false },
  { networks: 1_000, guests: 1_000, isCostMeasured: true },
  { networks: 5_000, guests: 100, isCostMeasured: false },
]

async function runSize(
  { networks, guests, isCostMeasured }: Size,
  { quick, progress, add, teardown, profiler }: ScenarioOptions,
): Promise<void> {
  progress(`attach: building ${networks} networks`)
  const network = await BenchNetwork.build(planNetworks({ networks, guests }), teardown)
  try {
    progress(`attach: ${networks} namespaces`)
    const ours = await OurSide.start({ topology: network.topology, teardown, profiler })
    const { program, listeners, rules } = ours.attaching
    const atRest = ours.pss()
    try {
      const targets = network.targets()
      const load = { connections: 16, keepAlive: false, targets }
      // Every guest once: that a namespace is said to be served is not enough.
      const every = { ...load, requests: targets.length }
      const reached = await measureLoad(`attach-${networks}`, 'ours', ours, every, 'as-it-is')
      add(
        benchRow({
          ...reached,
          seconds: (listeners - program) / 1000,
          pssMiB: atRest,
          figures: {
            programStartedSeconds: program / 1000,
            listenersOpenSeconds: listeners / 1000,
            rulesLoadedSeconds: rules / 1000,
            pssAfterLoadMiB: reached.pssMiB ?? 0,
          },
          note: 'seconds: from the running program to a worker accepting in every namespace; its figures count from starting the program; PSS before the first request, which then come once from every guest',
        }),
      )
      if (isCostMeasured) {
        progress(`attach: cost of a request with ${networks} namespaces`)
        await warmUp(targets, quick ? 4_000 : 20_000)
        const many = { ...load, requests: quick ? 2_000 : 10_000 }
        add(await measureLoad(`cost-${networks}`, 'ours', ours, many))
      }
    } finally {
      await ours.stop()
    }
  } finally {
    await network.remove()
  }
}

/** How the time to serve all namespaces, the memory, and the cost of a request grow with their number. */
export const attach: Scenario = {
  name: 'attach',
  what: 'time and memory to serve 1, 300, 1,000 and 5,000 namespaces; cost of a request at 1, 100, 1,000',
  async run(options) {
    await options.network.remove()
    for (const size of sizes) {
      if (options.quick && size.networks > 1_000) continue
      await runSize(size, options)
    }
  },
}
