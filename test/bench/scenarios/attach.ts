import type { Count } from '../../../lib/runtime/clock.ts'
import { BenchNetwork, planNetworks } from '../bench-network.ts'
import { measureLoad, warmUp } from '../measured-load.ts'
import { OurSide, type Forwarding } from '../our-side.ts'
import { benchRow } from '../row.ts'
import type { Scenario, ScenarioOptions } from '../scenario.ts'

/** How many namespaces, and what is measured in them. */
export interface AttachSize {
  readonly networks: Count
  readonly guests: Count
  /** The ways in which the cost of a request is measured as well, for comparing sizes. */
  readonly costs: readonly Forwarding[]
}

const sizes: readonly AttachSize[] = [
  { networks: 100, guests: 100, costs: ['agent'] },
  { networks: 300, guests: 100, costs: [] },
  { networks: 5_000, guests: 100, costs: [] },
]

/** Serves so many namespaces: rows `attach-1000`, and `cost-1000` and `cost-direct-1000` where they are wanted. */
export async function measureAttaching(
  { networks, guests, costs }: AttachSize,
  options: ScenarioOptions,
): Promise<void> {
  const { progress, teardown } = options
  progress(`attach: building ${networks} networks`)
  const network = await BenchNetwork.build(planNetworks({ networks, guests }), teardown)
  try {
    await attachTo(network, options)
    for (const forwarding of costs) await costOf(network, forwarding, options)
  } finally {
    await network.remove()
  }
}

async function attachTo(
  network: BenchNetwork,
  { progress, add, teardown, profiler }: ScenarioOptions,
): Promise<void> {
  const count = network.topology.networks.length
  progress(`attach: ${count} namespaces`)
  const ours = await OurSide.start({ topology: network.topology, teardown, profiler })
  const { program, listeners, rules } = ours.attaching
  const atRest = ours.pss()
  try {
    const targets = network.targets()
    // Every guest once: that a namespace is reported as served is not enough.
    const every = { connections: 16, keepAlive: false, targets, requests: targets.length }
    const subject = { name: `attach-${count}`, side: 'ours', upstream: 'keeps' } as const
    const reached = await measureLoad(subject, ours, every, 'as-it-is')
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
  } finally {
    await ours.stop()
  }
}

async function costOf(
  network: BenchNetwork,
  forwarding: Forwarding,
  { quick, progress, add, teardown, profiler }: ScenarioOptions,
): Promise<void> {
  const name = `cost${forwarding === 'direct' ? '-direct' : ''}-${network.topology.networks.length}`
  progress(`${name}: cost of a request`)
  const { topology } = network
  const ours = await OurSide.start({ topology, teardown, profiler, forwarding })
  try {
    const targets = network.targets()
    await warmUp(targets, quick ? 4_000 : 20_000)
    const load = { connections: 16, keepAlive: false, targets, requests: quick ? 2_000 : 10_000 }
    add(await measureLoad({ name, side: 'ours', upstream: 'keeps' }, ours, load))
  } finally {
    await ours.stop()
  }
}

/** How the time to serve all namespaces, and the memory, grow with their number. */
export const attach: Scenario = {
  name: 'attach',
  what: 'time and memory to serve 100, 300 and 5,000 namespaces; cost of a request at 100',
  async run(options) {
    await options.network.remove()
    for (const size of sizes) {
      if (options.quick && size.networks > 1_000) continue
      await measureAttaching(size, options)
    }
  },
}
