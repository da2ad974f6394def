import { BenchNetwork, planNetworks } from '../bench-network.ts'
import { OurSide } from '../our-side.ts'
import { Haproxies } from '../peer/haproxies.ts'
import { pssOfAll } from '../process-figures.ts'
import { benchRow } from '../row.ts'
import type { Scenario } from '../scenario.ts'

/** Serving many namespaces: one after the other in the same namespaces, ours first. */
export const comparedAttach: Scenario = {
  name: 'compared-attach',
  what: 'time and memory to serve 300 namespaces: ours, and one haproxy each',
  async run({ quick, progress, add, network: shared, teardown, profiler }) {
    await shared.remove()
    const count = quick ? 30 : 300
    const name = 'compared-attach'
    progress(`${name}: building ${count} networks`)
    const network = await BenchNetwork.build(planNetworks({ networks: count, guests: 1 }), teardown)
    const { topology } = network
    progress(`${name}: ours`)
    const ours = await OurSide.start({ topology, teardown, profiler })
    const { program, listeners } = ours.attaching
    const seconds = listeners / 1000
    const note = `${count} namespaces, rules left out`
    add(
      benchRow({
        name,
        side: 'ours',
        seconds,
        pssMiB: ours.pss(),
        figures: { namespaces: count, programStartedSeconds: program / 1000 },
        note: `${note}; with the start of the program; memory of agent and proxy`,
      }),
    )
    await ours.stop()
    progress(`${name}: haproxy`)
    const haproxies = await Haproxies.configure(topology.networks, '/nonexistent', teardown)
    const begun = performance.now()
    await haproxies.start()
    add(
      benchRow({
        name,
        side: 'peer',
        seconds: (performance.now() - begun) / 1000,
        pssMiB: pssOfAll(new Map([['haproxy', haproxies.pids()]])),
        figures: { namespaces: count },
        note: `${note}; two started at a time; memory of haproxy alone, without the agent`,
      }),
    )
    await haproxies.stop()
    await network.remove()
  },
}
