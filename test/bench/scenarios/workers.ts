import { measureLoad, warmUp } from '../measured-load.ts'
import { OurSide, type Forwarding } from '../our-side.ts'
import { benchRow } from '../row.ts'
import type { Scenario } from '../scenario.ts'
import { warmNetwork } from './warm.ts'

/** How much a second worker adds. Load, upstream and agent share the processors with them. */
export const workers: Scenario = {
  name: 'workers',
  what: 'the warm path with one worker and with two',
  async run({ quick, progress, add, network: shared, teardown, profiler }) {
    const network = await shared.get(warmNetwork)
    for (const forwarding of ['agent', 'direct'] satisfies Forwarding[]) {
      for (const count of [1, 2]) {
        const name = `workers${forwarding === 'direct' ? '-direct' : ''}-${count}`
        progress(`${name}: 64 at a time, new connections`)
        const ours = await OurSide.start({
          topology: network.topology,
          teardown,
          profiler,
          forwarding,
          workers: count,
        })
        try {
          await warmUp(network.targets(), quick ? 4_000 : 20_000)
          const load = { connections: 64, keepAlive: false, requests: quick ? 2_000 : 20_000 }
          const options = { ...load, targets: network.targets() }
          add(benchRow({ ...(await measureLoad(name, 'ours', ours, options)), note }))
        } finally {
          await ours.stop()
        }
      }
    }
  },
}

const note = 'load, upstream and agent run on the same processors'
