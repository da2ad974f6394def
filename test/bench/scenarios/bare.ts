import { measureLoad, warmUp } from '../measured-load.ts'
import { BareNode } from '../peer/bare-node.ts'
import { routed } from '../peer/redirect.ts'
import { TunedHaproxy } from '../peer/tuned-haproxy.ts'
import type { UpstreamKind } from '../row.ts'
import type { Scenario } from '../scenario.ts'
import { warmLoads, warmNetwork } from './warm.ts'

/** What a proxy has to cost that knows everything beforehand; the comparison with the peer has them as well. */
export const bare: Scenario = {
  name: 'bare',
  what: "a tuned haproxy and a bare proxy on Node's sockets: what a proxy costs at least",
  async run({ quick, progress, add, network: shared, teardown }) {
    const network = await shared.get(warmNetwork)
    const { topology } = network
    const targets = network.targets(routed(topology.networks).flatMap(({ guests }) => guests))
    for (const upstream of ['closes', 'keeps'] satisfies UpstreamKind[]) {
      const limits = { closes: upstream === 'closes' }
      for (const [side, start] of [
        ['haproxy-tuned', () => TunedHaproxy.start(topology, limits, teardown)],
        ['node-bare', () => BareNode.start(topology, limits, teardown)],
      ] as const) {
        progress(`bare: ${side}, compute ${upstream}`)
        const measured = await start()
        try {
          await warmUp(targets, quick ? 4_000 : 20_000)
          for (const load of warmLoads) {
            const requests = (quick ? 2_000 : 20_000) * (load.connections === 1 ? 0.5 : 1)
            const subject = { name: 'bare', side, upstream }
            add(await measureLoad(subject, measured, { ...load, requests, targets }))
          }
        } finally {
          await measured.stop()
        }
      }
    }
  },
}
