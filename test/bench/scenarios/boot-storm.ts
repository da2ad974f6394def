import { BenchProcess } from '../bench-process.ts'
import type { NetworkPlan } from '../bench-network.ts'
import { runBootStorm, type BootStorm } from '../boot-storm.ts'
import { CountedNeutron } from '../counted-neutron.ts'
import type { HammerOptions, HammerReport } from '../hammer.ts'
import { RequestCost } from '../measured-load.ts'
import { OurSide, type Forwarding } from '../our-side.ts'
import { benchRow, type BenchRow, type UpstreamKind } from '../row.ts'
import type { Scenario, ScenarioOptions } from '../scenario.ts'

const lanesPerNoisyGuest = 8
const noisyGuests = 4

/** 50 networks that boot, with the same addresses, and one whose guests may make noise: the first. */
export function stormNetwork(quick: boolean): NetworkPlan {
  return { networks: 51, guests: quick ? 204 : 1_020 }
}

interface StormOptions {
  readonly name: string
  readonly forwarding: Forwarding
  readonly upstream: UpstreamKind
  readonly isNoisy: boolean
}

/** Boots all guests but those of the first network. @returns a row of that name */
export async function runStorm(
  { name, forwarding, upstream, isNoisy }: StormOptions,
  { quick, progress, network: shared, teardown, profiler }: ScenarioOptions,
): Promise<BenchRow> {
  const network = await shared.get(stormNetwork(quick))
  const [noisy, ...others] = network.topology.networks
  const guests = others.flatMap((one) => one.guests)
  progress(`${name}: ${guests.length} guests boot on ${others.length} networks`)
  const neutron = await CountedNeutron.start(network.topology, teardown)
  const ours = await OurSide.start({
    topology: network.topology,
    teardown,
    profiler,
    forwarding,
    neutron: neutron.url,
    upstream: { delay: 20, concurrency: quick ? 10 : 50, closes: upstream === 'closes' },
  })
  try {
    const hammer = isNoisy
      ? await BenchProcess.start<HammerReport>(
          'hammer.js',
          {
            guests: (noisy?.guests ?? []).slice(0, noisyGuests),
            lanes: lanesPerNoisyGuest,
          } satisfies HammerOptions,
          teardown,
        )
      : undefined
    const asked = await neutron.questions()
    const cost = new RequestCost(ours)
    const storm = await runBootStorm(
      guests.map((guest) => (path: string) => network.targetOf(guest, path)),
    )
    const spent = cost.figures(name, storm.requests)
    const noise = await hammer?.report()
    await hammer?.stop()
    const row = stormRow(name, storm, noise)
    return benchRow({
      ...row,
      connections: guests.length,
      upstream,
      // With noise, the noise's own requests are in the CPU.
      ...(noise === undefined && {
        ...spent,
        figures: {
          ...row.figures,
          cpuSeconds: ((spent.cpuMsPerRequest ?? 0) * storm.requests) / 1000,
        },
      }),
      pssMiB: ours.pss(),
      controlPlaneQuestions: (await neutron.questions()) - asked,
    })
  } finally {
    await ours.stop()
    await neutron.stop()
  }
}

function stormRow(name: string, storm: BootStorm, noise: HammerReport | undefined): BenchRow {
  const { answers, boots, endings, seconds, requests, failedBoots } = storm
  const { wrong, ...rest } = endings.figures()
  return benchRow({
    name,
    side: 'ours',
    keepAlive: false,
    requestsPerSecond: requests / seconds,
    p50Ms: answers.percentile(0.5),
    p99Ms: answers.percentile(0.99),
    ...rest,
    wrong: wrong + (noise?.wrong ?? 0),
    seconds,
    figures: {
      bootP50Seconds: (boots.percentile(0.5) ?? 0) / 1000,
      bootP99Seconds: (boots.percentile(0.99) ?? 0) / 1000,
      bootMaxSeconds: (boots.percentile(1) ?? 0) / 1000,
      longestAnswerSeconds: (answers.percentile(1) ?? 0) / 1000,
      failedBoots,
      ...(noise !== undefined && {
        noisyRequestsPerSecond: noise.requests / seconds,
        noisyErrors: noise.errors,
      }),
    },
    note:
      noise?.errorKinds == null ? null : `errors of the noise: ${JSON.stringify(noise.errorKinds)}`,
  })
}

/** Adds by how much the others' times grew. */
function withGrowth(row: BenchRow, quiet: BenchRow): BenchRow {
  const growth = (name: string): number =>
    (row.figures?.[name] ?? 0) / (quiet.figures?.[name] ?? 0) - 1
  return {
    ...row,
    figures: {
      ...row.figures,
      bootP99Growth: growth('bootP99Seconds'),
      answerP99Growth: (row.p99Ms ?? 0) / (quiet.p99Ms ?? 0) - 1,
    },
  }
}

/** Many guests boot at once against a small Nova, in quiet and beside a project that asks without pause. */
export const bootStorm: Scenario = {
  name: 'boot-storm',
  what: 'guests boot at once as with cloud-init, 20 ms an answer of Nova; then beside a noisy project',
  async run(options) {
    const all: readonly Forwarding[] = options.quick ? ['agent'] : ['agent', 'direct']
    for (const forwarding of all) {
      const name = forwarding === 'direct' ? 'boot-storm-direct' : 'boot-storm'
      const storm = { name, forwarding, upstream: 'keeps' } as const
      const quiet = await runStorm({ ...storm, isNoisy: false }, options)
      const noisy = await runStorm({ ...storm, name: `${name}-noisy`, isNoisy: true }, options)
      options.add(quiet, withGrowth(noisy, quiet))
    }
  },
}
