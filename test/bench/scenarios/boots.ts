import type { Forwarding } from '../our-side.ts'
import type { UpstreamKind } from '../row.ts'
import type { Scenario } from '../scenario.ts'
import { measureAttaching } from './attach.ts'
import { runStorm } from './boot-storm.ts'

/** What a large host costs: many guests that boot, and many namespaces. */
export const boots: Scenario = {
  name: 'boots',
  what: 'CPU of 1,000 boots on 50 networks; time, memory and cost of a request with 1 and 1,000 namespaces',
  async run(options) {
    for (const upstream of ['closes', 'keeps'] satisfies UpstreamKind[]) {
      for (const forwarding of ['agent', 'direct'] satisfies Forwarding[]) {
        const name = forwarding === 'direct' ? 'boots-direct' : 'boots'
        options.add(await runStorm({ name, forwarding, upstream, isNoisy: false }, options))
      }
    }
    await options.network.remove()
    const many = options.quick ? 200 : 1_000
    await measureAttaching({ networks: 1, guests: 100, costs: ['agent', 'direct'] }, options)
    await measureAttaching({ networks: many, guests: many, costs: ['agent', 'direct'] }, options)
  },
}
