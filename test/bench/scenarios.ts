import type { Count } from '../../lib/clock.ts'
import { BenchNetwork } from './bench-network.ts'
import { runLoad, type LoadResult } from './load.ts'
import { OurSide } from './our-side.ts'
import { CpuMeter } from './process-figures.ts'
import { benchRow, type BenchRow, type Side } from './row.ts'

/** What a scenario may adapt to: a quick look or figures worth keeping. */
export interface ScenarioOptions {
  readonly quick: boolean
  readonly progress: (text: string) => void
}

export interface Scenario {
  readonly name: string
  readonly what: string
  run(options: ScenarioOptions): Promise<BenchRow[]>
}

/** Anything that serves guests and whose processes can be measured. */
export interface MeasuredSide {
  pids(): Map<string, readonly number[]>
  pss(): number
}

const noDelay = { delay: 0, concurrency: 1_000_000 } as const

/** Runs one load against a side and says what it cost. */
export async function measureLoad(
  name: string,
  side: Side,
  measured: MeasuredSide,
  network: BenchNetwork,
  load: { readonly connections: Count; readonly keepAlive: boolean; readonly requests: Count },
): Promise<BenchRow> {
  const targets = network.guests.map((guest) => network.targetOf(guest))
  // Caches, connection pools and compiled code belong to a warm path.
  await runLoad({ ...load, targets, requests: Math.max(200, Math.floor(load.requests / 5)) })
  const meter = new CpuMeter(measured.pids())
  const result = await runLoad({ ...load, targets })
  const spent = meter.spent()
  const byProcess = Object.fromEntries(
    [...spent].map(([process, milliseconds]) => [process, milliseconds / result.requests]),
  )
  return benchRow({
    name,
    side,
    connections: load.connections,
    keepAlive: load.keepAlive,
    ...figures(result),
    cpuMsPerRequest: Object.values(byProcess).reduce((sum, value) => sum + value, 0),
    cpuMsByProcess: byProcess,
    pssMiB: measured.pss(),
  })
}

export function figures(
  result: LoadResult,
): Pick<BenchRow, 'requestsPerSecond' | 'p50Ms' | 'p99Ms' | 'errors' | 'wrong' | 'seconds'> &
  Partial<BenchRow> {
  const { requestsPerSecond, p50Ms, p99Ms, errors, wrong, seconds, errorKinds } = result
  return {
    requestsPerSecond,
    p50Ms,
    p99Ms,
    errors,
    wrong,
    seconds,
    ...(errors > 0 && { note: JSON.stringify(errorKinds) }),
  }
}

/** The loads that guests and pollers put on a host. */
export const warmLoads = [
  { connections: 1, keepAlive: false },
  { connections: 16, keepAlive: false },
  { connections: 64, keepAlive: false },
  { connections: 1, keepAlive: true },
  { connections: 16, keepAlive: true },
  { connections: 64, keepAlive: true },
] as const

const warm: Scenario = {
  name: 'warm',
  what: 'requests on known identities, new connection each and keep-alive',
  async run({ quick, progress }) {
    const network = await BenchNetwork.build(4, 64)
    const ours = await OurSide.start({ topology: network.topology, upstream: noDelay })
    try {
      const rows: BenchRow[] = []
      for (const load of warmLoads) {
        progress(
          `warm path, ${load.connections} at a time, ${load.keepAlive ? 'keep-alive' : 'new connections'}`,
        )
        const requests = (quick ? 2_000 : 20_000) * (load.connections === 1 ? 0.5 : 1)
        rows.push(await measureLoad('warm', 'ours', ours, network, { ...load, requests }))
      }
      return rows
    } finally {
      await ours.stop()
      await network.remove()
    }
  },
}

const attach: Scenario = {
  name: 'attach',
  what: 'from starting the proxy to serving every namespace, and what all of it takes in memory',
  async run({ quick, progress }) {
    const rows: BenchRow[] = []
    for (const count of quick ? [300, 1_000] : [1, 300, 1_000, 5_000]) {
      progress(`attaching ${count} namespaces`)
      const network = await BenchNetwork.build(count, count)
      const ours = await OurSide.start({ topology: network.topology, upstream: noDelay })
      try {
        const targets = network.guests.map((guest) => network.targetOf(guest))
        const result = await runLoad({
          targets,
          connections: 16,
          keepAlive: false,
          requests: count,
        })
        rows.push(
          benchRow({
            name: `attach-${count}`,
            side: 'ours',
            connections: 16,
            keepAlive: false,
            ...figures(result),
            seconds: ours.attachedIn / 1000,
            pssMiB: ours.pss(),
            note: 'seconds: start of the program to ready, rules included; requests: one from every guest',
          }),
        )
      } finally {
        await ours.stop()
        await network.remove()
      }
    }
    return rows
  },
}

export const scenarios: readonly Scenario[] = [attach, warm]
