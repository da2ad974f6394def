import { measureLoad, warmUp } from '../measured-load.ts'
import { OurSide, type Forwarding } from '../our-side.ts'
import { contextSwitchesOf } from '../process-figures.ts'
import { benchRow } from '../row.ts'
import type { Scenario } from '../scenario.ts'
import { warmNetwork } from './warm.ts'

/** What more workers cost and bring. Load, upstream and agent share the processors with them. */
export const workers: Scenario = {
  name: 'workers',
  what: 'CPU a request with 1, 2 and 4 workers at 1, 16 and 64 requests at a time, both ways',
  async run({ quick, progress, add, network: shared, teardown, profiler }) {
    const network = await shared.get(warmNetwork)
    const targets = network.targets()
    for (const forwarding of ['agent', 'direct'] satisfies Forwarding[]) {
      for (const count of [1, 2, 4]) {
        const name = `workers${forwarding === 'direct' ? '-direct' : ''}-${count}`
        const ours = await OurSide.start({
          topology: network.topology,
          teardown,
          profiler,
          forwarding,
          workers: count,
        })
        try {
          progress(`${name}: warming up`)
          await warmUp(targets, quick ? 4_000 : 20_000)
          for (const connections of [1, 16, 64]) {
            progress(`${name}: ${connections} at a time, new connections`)
            const requests = (quick ? 2_000 : 20_000) * (connections === 1 ? 0.5 : 1)
            const load = { connections, keepAlive: false, requests, targets }
            const subject = { name, side: 'ours', upstream: 'keeps' } as const
            const switches = (): number =>
              [...ours.pids().values()].flat().reduce((sum, pid) => sum + contextSwitchesOf(pid), 0)
            const before = switches()
            const row = await measureLoad(subject, ours, load, 'as-it-is')
            const contextSwitchesPerRequest = (switches() - before) / requests
            add(benchRow({ ...row, figures: { contextSwitchesPerRequest }, note }))
          }
        } finally {
          await ours.stop()
        }
      }
    }
  },
}

const note = 'load, upstream and agent run on the same processors'
