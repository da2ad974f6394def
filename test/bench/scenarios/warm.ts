import { measureLoad, warmUp } from '../measured-load.ts'
import type { UpstreamLimits } from '../constant-upstream.ts'
import { OurSide, type Forwarding } from '../our-side.ts'
import type { Scenario, ScenarioOptions } from '../scenario.ts'

/** The loads that guests and pollers put on a host. */
export const warmLoads = [
  { connections: 1, keepAlive: false },
  { connections: 16, keepAlive: false },
  { connections: 64, keepAlive: false },
  { connections: 1, keepAlive: true },
  { connections: 16, keepAlive: true },
  { connections: 64, keepAlive: true },
] as const

/** The size of network that loads run on. */
export const warmNetwork = { networks: 4, guests: 64 } as const

async function runWarm(
  name: string,
  forwarding: Forwarding,
  { quick, progress, add, network: shared, teardown, profiler }: ScenarioOptions,
  upstream: UpstreamLimits = {},
): Promise<void> {
  const network = await shared.get(warmNetwork)
  const ours = await OurSide.start({
    topology: network.topology,
    teardown,
    profiler,
    forwarding,
    upstream,
  })
  try {
    progress(`${name}: warming up`)
    await warmUp(network.targets(), quick ? 4_000 : 20_000)
    for (const load of warmLoads) {
      const how = load.keepAlive ? 'keep-alive' : 'new connections'
      progress(`${name}: ${load.connections} at a time, ${how}`)
      const requests = (quick ? 2_000 : 20_000) * (load.connections === 1 ? 0.5 : 1)
      const options = { ...load, requests, targets: network.targets() }
      const kind = upstream.closes === true ? 'closes' : 'keeps'
      add(await measureLoad({ name, side: 'ours', upstream: kind }, ours, options))
    }
  } finally {
    await ours.stop()
  }
}

/** Two hops: worker, agent, compute. */
export const warm: Scenario = {
  name: 'warm',
  what: 'requests on known identities, two hops; new connection each, and keep-alive',
  run: (options) => runWarm('warm', 'agent', options),
}

/** Two hops, with a compute service as Debian has it. */
export const warmClosing: Scenario = {
  name: 'warm-closing',
  what: 'two hops to a compute service that closes each connection and sends no length',
  run: (options) => runWarm('warm-closing', 'agent', options, { closes: true }),
}

/** One hop: worker, compute. */
export const warmDirect: Scenario = {
  name: 'warm-direct',
  what: 'the same on the fast path: one hop, with leases of the agent',
  run: (options) => runWarm('warm-direct', 'direct', options),
}

/** One hop, with a compute service as Debian has it. */
export const warmDirectClosing: Scenario = {
  name: 'warm-direct-closing',
  what: 'the fast path to a compute service that closes each connection and sends no length',
  run: (options) => runWarm('warm-direct-closing', 'direct', options, { closes: true }),
}
