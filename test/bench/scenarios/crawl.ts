import { connect } from 'node:net'
import type { DemoGuest, DemoNetwork, DemoTopology } from '../../../deploy/demo/topology.ts'
import type { Count } from '../../../lib/runtime/clock.ts'
import { agentHeaders } from '../../openstack/genuine-documents.ts'
import { urlOf, type Place } from '../../openstack/place.ts'
import { BenchNetwork, planNetworks, twinOf } from '../bench-network.ts'
import { cloudInitPaths } from '../cloud-init-paths.ts'
import { crawl as crawlOnce, type CrawlStep } from '../crawl.ts'
import { Endings, requestText } from '../guest-request.ts'
import { Latencies } from '../latencies.ts'
import type { MeasuredSide } from '../measured-load.ts'
import { OurSide, type Forwarding } from '../our-side.ts'
import { ControlPlane } from '../peer/control-plane.ts'
import { reasonAgainstPackages } from '../peer/peer-packages.ts'
import { PeerSide, type PeerKind } from '../peer/peer-side.ts'
import { profileClock } from '../profile/profiler.ts'
import { CpuMeter } from '../process-figures.ts'
import { benchRow, type BenchRow, type Side } from '../row.ts'
import type { Scenario, ScenarioOptions } from '../scenario.ts'

/** Two routers, two guests behind each: their addresses are the same. */
const crawlNetwork = { networks: 2, guests: 4 } as const

/** One that takes its turn in each round. */
interface Contender {
  readonly name: string
  readonly side: Side
  readonly measured: MeasuredSide
  readonly stepAt: (guest: number, path: string) => CrawlStep
  readonly prepare?: () => Promise<void>
}

/** What only the guest's own answer holds; nothing where all guests get the same. */
function expectedAt(guest: DemoGuest, path: string): string {
  if (path.endsWith('/meta_data.json') || path.endsWith('/user_data')) return guest.instanceId
  return path.endsWith('/hostname') ? guest.name : ''
}

function guestsOf(topology: DemoTopology): readonly (readonly [DemoNetwork, DemoGuest])[] {
  return topology.networks.flatMap((network) =>
    network.guests.map((guest) => [network, guest] as const),
  )
}

/** As the agent sends it, without anything in between. */
function novaStep(place: Place, network: DemoNetwork, guest: DemoGuest, path: string): CrawlStep {
  const instance = { id: guest.instanceId, projectId: network.projectId }
  const fields = Object.entries(agentHeaders(place.sharedSecret, instance, guest.ip))
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return {
    target: {
      connect: () => connect(place.tcpPorts.novaUwsgi, '127.0.0.1'),
      path,
      expected: expectedAt(guest, path),
    },
    request: requestText(path, false).replace(/\r\n\r\n$/, `\r\n${lines}\r\n`),
  }
}

function guestStep(network: BenchNetwork, guest: number, path: string): CrawlStep {
  const [, one] = guestsOf(network.topology)[guest] ?? []
  if (one === undefined) throw new RangeError(`there is no guest ${guest}`)
  const target = { ...network.targetOf(one, path), expected: expectedAt(one, path) }
  return { target, request: requestText(path, false) }
}

async function startContenders(options: ScenarioOptions): Promise<readonly Contender[]> {
  const { progress, teardown, profiler } = options
  progress('crawl: starting neutron-server, Nova, RabbitMQ and MariaDB')
  const controlPlane = await ControlPlane.start(teardown, true)
  const { place } = controlPlane
  progress('crawl: making networks, ports and instances')
  const topology = await controlPlane.seed(planNetworks(crawlNetwork))
  progress('crawl: starting the sides')
  const shared = { controlPlane: () => controlPlane.pids() }
  const ours = async (forwarding: Forwarding): Promise<Contender> => {
    const network = await BenchNetwork.build(twinOf(topology, forwarding), teardown)
    const side = await OurSide.start({
      topology: network.topology,
      teardown,
      profiler,
      forwarding,
      compute: { url: urlOf(place, 'novaUwsgi'), sharedSecret: place.sharedSecret },
      neutron: controlPlane.neutronUrl,
    })
    return {
      name: forwarding === 'direct' ? 'crawl-direct' : 'crawl',
      side: 'ours',
      measured: { ...shared, profiler, pids: () => side.pids(), pss: () => side.pss() },
      stepAt: (guest, path) => guestStep(network, guest, path),
    }
  }
  const network = await BenchNetwork.build(topology, teardown)
  const computes = new Map([['closes', place.tcpPorts.novaUwsgi] as const])
  const peer = await PeerSide.start(controlPlane, topology, computes, teardown)
  const theirs = (side: PeerKind): Contender => ({
    name: 'crawl',
    side,
    measured: peer,
    stepAt: (guest, path) => guestStep(network, guest, path),
    prepare: () => peer.use(side, 'closes'),
  })
  const genuine = guestsOf(topology)
  const nova: Contender = {
    name: 'crawl',
    side: 'nova',
    measured: { ...shared, pids: () => new Map(), pss: () => 0 },
    stepAt(guest, path) {
      const [own, one] = genuine[guest] ?? []
      if (own === undefined || one === undefined) throw new RangeError(`there is no guest ${guest}`)
      return novaStep(place, own, one, path)
    },
  }
  // Ours are started last: a fresh process is to be measured before it has stood for minutes.
  return [nova, theirs('peer'), theirs('peer-cache'), await ours('agent'), await ours('direct')]
}

/** What one contender took in a stretch of rounds. */
class CrawlFigures {
  readonly #contender: Contender
  readonly #spans = new Latencies(1_000)
  readonly #endings = new Endings()
  readonly #from = profileClock()
  readonly #own = new Map<string, number>()
  readonly #beside = new Map<string, number>()

  constructor(contender: Contender) {
    this.#contender = contender
  }

  async crawl(guest: number): Promise<void> {
    const { prepare, measured, stepAt } = this.#contender
    await prepare?.()
    const own = new CpuMeter(measured.pids())
    const beside = new CpuMeter(measured.controlPlane?.() ?? new Map())
    const { span } = await crawlOnce((path) => stepAt(guest, path), this.#endings)
    addAll(this.#own, own.spent())
    addAll(this.#beside, beside.spent())
    this.#spans.add(span)
  }

  row(suffix: string): BenchRow {
    const { name, side, measured } = this.#contender
    const crawls = this.#spans.count
    const sum = [...this.#own.values()].reduce((all, value) => all + value, 0)
    const perRequest = (value: number): number => value / crawls / cloudInitPaths.length
    const spent = [...this.#own, ...this.#beside]
    const cpuMsByProcess = Object.fromEntries(
      spent.map(([key, value]) => [key, perRequest(value)] as const),
    )
    // In the turns of the others its processes wait.
    measured.profiler?.add({
      name: `${name}${suffix}`,
      stretch: { from: this.#from, to: profileClock() },
      pids: measured.pids(),
      cpuMsByProcess,
    })
    return benchRow({
      name: `${name}${suffix}`,
      side,
      upstream: 'closes',
      connections: 1,
      keepAlive: false,
      p50Ms: this.#spans.percentile(0.5),
      p99Ms: this.#spans.percentile(0.99),
      cpuMsPerRequest: side === 'nova' ? null : perRequest(sum),
      cpuMsByProcess,
      pssMiB: side === 'nova' ? null : measured.pss(),
      ...this.#endings.figures(),
      figures: {
        crawls,
        crawlCpuMs: sum / crawls,
        crawlCpuMsOfNova: (this.#beside.get('nova') ?? Number.NaN) / crawls,
      },
      note: 'p50 and p99 of a whole crawl of 28 requests',
    })
  }
}

function addAll(sums: Map<string, number>, values: ReadonlyMap<string, number>): void {
  for (const [name, value] of values) sums.set(name, (sums.get(name) ?? 0) + value)
}

/** Each contender in turn, another one first each time; all of them as the same guest. */
async function rounds(
  contenders: readonly Contender[],
  count: Count,
): Promise<readonly CrawlFigures[]> {
  const all = contenders.map((contender) => new CrawlFigures(contender))
  const nova = contenders.filter(({ side }) => side === 'nova')
  for (let round = 0; round < count; round += 1) {
    const guest = round % crawlNetwork.guests
    // Nova builds an instance's metadata anew every 15 s, in each of its processes: none of the contenders is to wait for that.
    const primers = Array.from({ length: 4 }, () => nova).flat()
    await Promise.all(primers.map((contender) => new CrawlFigures(contender).crawl(guest)))
    for (let turn = 0; turn < all.length; turn += 1) {
      await all[(round + turn) % all.length]?.crawl(guest)
    }
  }
  return all
}

/** What a guest that boots waits for, and what it costs: a real Nova, and processes that are fresh and that are not. */
export const crawl: Scenario = {
  name: 'crawl',
  what: "cloud-init's 28 requests against a real Nova, beside the peer: on fresh processes and after 300 crawls",
  async run(options) {
    const reason = reasonAgainstPackages()
    if (reason !== undefined) throw new Error(reason)
    const { quick, progress, add, network } = options
    await network.remove()
    const contenders = await startContenders(options)
    const measured = quick ? 10 : 30
    progress(`crawl: ${measured} rounds on fresh processes`)
    add(...(await rounds(contenders, measured)).map((figures) => figures.row('-fresh')))
    const between = quick ? 20 : 300 - measured
    progress(`crawl: ${between} rounds in between`)
    // Python compiles nothing, and the default peer would take most of the time.
    await rounds(
      contenders.filter(({ side }) => side !== 'peer'),
      between,
    )
    const last = quick ? 20 : 60
    progress(`crawl: ${last} rounds`)
    add(...(await rounds(contenders, last)).map((figures) => figures.row('')))
  },
}
