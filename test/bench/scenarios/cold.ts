import { CountedNeutron } from '../counted-neutron.ts'
import { measureLoad } from '../measured-load.ts'
import { OurSide } from '../our-side.ts'
import { runLoad } from '../load.ts'
import { benchRow } from '../row.ts'
import type { Scenario } from '../scenario.ts'
import { stormNetwork } from './boot-storm.ts'

/** Every measured request comes from an identity that was never seen; code was warmed up on one network before. */
export const cold: Scenario = {
  name: 'cold',
  what: 'requests on identities never seen before: ports from a file, and from Neutron',
  async run({ quick, progress, add, network: shared, teardown, profiler }) {
    const network = await shared.get(stormNetwork(quick))
    const [first, ...others] = network.topology.networks
    const known = network.targets(first?.guests)
    const unknown = network.targets(others.flatMap(({ guests }) => guests))
    for (const source of ['file', 'neutron'] as const) {
      const name = source === 'file' ? 'cold' : 'cold-neutron'
      progress(`${name}: ${unknown.length} identities, once each`)
      const neutron =
        source === 'neutron' ? await CountedNeutron.start(network.topology, teardown) : undefined
      const ours = await OurSide.start({
        topology: network.topology,
        teardown,
        profiler,
        ...(neutron !== undefined && { neutron: neutron.url }),
      })
      try {
        const load = { connections: 16, keepAlive: false }
        await runLoad({ ...load, targets: known, requests: quick ? 500 : 3_000 })
        const before = await neutron?.questions()
        const options = { ...load, targets: unknown, requests: unknown.length }
        const row = await measureLoad(
          { name, side: 'ours', upstream: 'keeps' },
          ours,
          options,
          'as-it-is',
        )
        const after = await neutron?.questions()
        const controlPlaneQuestions =
          before !== undefined && after !== undefined ? after - before : null
        add(benchRow({ ...row, controlPlaneQuestions }))
      } finally {
        await ours.stop()
        await neutron?.stop()
      }
    }
  },
}
