import t from 'tap'
import { LeaseIssuer } from '../../../../agent-side/leases/lease-issuer.ts'
import type { LookupKey } from '../../../../agent-side/resolve/resolution.ts'
import { Resolver } from '../../../../agent-side/resolve/resolver.ts'
import { Cancellation } from '../../../../lib/runtime/cancellation.ts'
import type { LeaseKey, LeaseNews } from '../../../../lib/wire/lease-messages.ts'
import { guest, networks, overlappingTopology } from '../../../conformance/overlapping-topology.ts'
import { instanceId, type Topology, type TopologyPort } from '../../../conformance/topology.ts'
import { everyOrder, shownOrder, type OrderedWorld } from '../../../support/every-order.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeOvsdb } from '../../../support/fake-ovsdb.ts'
import { ovnDirectory } from '../../../support/ovn-directory.ts'
import { southboundRows } from '../../../support/ovn-rows.ts'

/**
 * - `change`: the first port belongs to another instance; `move`: the second one is made again on the other network
 * - `deliver`: one message of the servers arrives; `flow`: all do
 * - `cut`: the connection breaks; `restart`: the same, and the servers know no earlier transaction
 * - `freeze`: the server that is used hangs, and the other one leads the cluster
 * - `second`, `interval`: time passes
 * - `settle`: everything arrives, and the agent has to be right soon; nothing follows
 */
const events = [
  'change',
  'move',
  'deliver',
  'flow',
  'cut',
  'restart',
  'freeze',
  'second',
  'interval',
  'settle',
] as const
type Event = (typeof events)[number]

/** How often each may happen in one order: more teaches nothing new. */
const most: Readonly<Record<Event, number>> = {
  change: 2,
  move: 1,
  deliver: 2,
  flow: 1,
  cut: 2,
  restart: 1,
  freeze: 1,
  second: 1,
  interval: 2,
  settle: 1,
}
/** Each event more takes eight times as long. */
const depth = 3
const interval = 2_000
const bound = 5_000

const whole = overlappingTopology()
const twoNetworks: Topology = {
  networks: whole.networks.filter(({ networkId }) =>
    [networks.plain, networks.isolated].some((one) => one === networkId),
  ),
  routers: [],
  ports: [],
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Two members of a cluster, an agent's directory, memory and leases, and the truth about two ports. */
class World implements OrderedWorld {
  readonly clock = new FakeClock()
  readonly #members: readonly FakeOvsdb[]
  readonly #frozen = new Set<FakeOvsdb>()
  #used: FakeOvsdb | undefined
  readonly #directory: ReturnType<typeof ovnDirectory>
  readonly #resolver: Resolver
  readonly #issuer: LeaseIssuer
  readonly #leases = new Map<number, { readonly key: LeaseKey; readonly instance: string }>()
  readonly #holder: ReturnType<LeaseIssuer['open']>
  readonly #past: Event[] = []
  #wrong: string | undefined
  #ask = 0
  #asks = new Map<number, { readonly key: LeaseKey; readonly instance: string }>()
  #ports: readonly TopologyPort[] = [
    guest(0x21, 'plain', '10.0.0.21'),
    guest(0x22, 'plain', '10.0.0.22'),
  ]
  /** When the truth changed last. */
  #changedAt = -Infinity
  #instances = 0x100

  constructor() {
    const status = { name: 'OVN_Southbound', model: 'clustered', connected: true, leader: true }
    this.#members = ['/one', '/two'].map((path) => new FakeOvsdb(path, { status }))
    for (const member of this.#members) member.isMute = true
    this.#write()
    this.#changedAt = -Infinity
    const { clock } = this
    this.#directory = ovnDirectory({
      clock,
      config: {
        ovn_sb_connection: this.#members.map(({ path }) => `unix:${path}`),
        ovsdb_probe_interval: `${interval}ms`,
        max_unconfirmed: `${bound}ms`,
      },
      connect: async (endpoint) => {
        const path = endpoint.kind === 'unix' ? endpoint.path : ''
        this.#used = this.#members.find((member) => member.path === path) as FakeOvsdb
        return this.#used.connect()
      },
      random: () => 0.001,
    })
    this.#resolver = new Resolver({
      directory: this.#directory,
      clock,
      sourceMac: 'prefer',
      cache: { max: 99, ttl: 10_000, maxNegative: 9, maxNegativePerScope: 9, ttlNegative: 500 },
      timeout: 1_000,
      maxLookups: 99,
      maxLookupsPerScope: 99,
    })
    this.#issuer = new LeaseIssuer({
      verdicts: this.#resolver,
      directory: this.#directory,
      upstreamsFor: () => [{ url: 'http://nova', insecure: false, headers: [] }],
      concurrency: { min: 1, max: 9 },
      clock,
      ttl: 60_000,
      oldest: 60_000,
      maxPerHolder: 99,
    })
    this.#holder = this.#issuer.open((news) => this.#noteLease(news))
  }

  /** A copy that a server keeps in step, and both guests known to the agent. */
  async begin(): Promise<void> {
    await this.#directory.start()
    while (!this.#directory.isConfirmed()) await this.#flow()
    await this.#look()
    await this.#flow()
    await this.#look()
  }

  /** A copy without these networks, and their guests' first requests: the server has read the rows, and its answers are on the way. */
  async beginCold(): Promise<void> {
    await this.#directory.start()
    while (!this.#directory.isConfirmed()) await this.#flow()
    await this.#look()
    for (const member of this.#members) member.answerLate()
    for (const member of this.#members) member.isMute = true
    await settle()
  }

  steps(): readonly Event[] {
    if (this.#past.includes('settle')) return []
    return events.filter((event) => this.#past.filter((one) => one === event).length < most[event])
  }

  async take(step: string): Promise<void> {
    const event = step as Event
    this.#past.push(event)
    if (event === 'settle') this.#wrong = await this.#settled()
    else {
      await this.#happen(event)
      this.#wrong = await this.#problem()
    }
  }

  state(): string {
    return this.#past.join(' ')
  }

  wrong(): string | undefined {
    return this.#wrong
  }

  async #happen(event: Exclude<Event, 'settle'>): Promise<void> {
    const [first, second] = this.#ports as [TopologyPort, TopologyPort]
    switch (event) {
      case 'change':
        this.#ports = [{ ...first, instanceId: instanceId((this.#instances += 1)) }, second]
        this.#write()
        break
      case 'move':
        this.#ports = [
          first,
          { ...guest(0x23, 'isolated', '10.0.0.22'), macAddress: second.macAddress },
        ]
        this.#write()
        break
      case 'deliver':
        for (const member of this.#running()) member.answerOne()
        break
      case 'flow':
        await this.#flow()
        break
      case 'cut':
      case 'restart':
        if (event === 'restart') for (const member of this.#members) member.forgetHistory()
        for (const member of this.#running()) member.cut()
        break
      case 'freeze':
        if (this.#used !== undefined) this.#frozen.add(this.#used)
        break
      case 'second':
        await this.clock.advance(1_000)
        break
      case 'interval':
        await this.clock.advance(2 * interval)
    }
    await settle()
  }

  /** @returns what is wrong at this moment */
  async #problem(): Promise<string | undefined> {
    const isOld = this.clock.now() - this.#changedAt > bound
    const wrong = await this.#look()
    if (isOld && wrong !== undefined) return `${wrong}, confirmed: ${this.#directory.isConfirmed()}`
    for (const { key, instance } of this.#leases.values()) {
      if (isOld && this.#truth(key) !== instance)
        return `a lease of ${key.sourceIp} is not taken back`
    }
    return undefined
  }

  /** Lets everything arrive. @returns what is wrong then */
  async #settled(): Promise<string | undefined> {
    for (let round = 0; round < 12; round += 1) {
      await this.clock.advance(1_000)
      await this.#flow()
      if (this.#directory.isConfirmed() && (await this.#look()) === undefined) break
    }
    if (!this.#directory.isConfirmed()) return `not in step: ${this.#directory.readiness().detail}`
    for (const key of this.#keys()) {
      const named = await this.#named(key)
      if (named !== this.#truth(key)) return `at the end ${key.sourceIp} is ${named}`
    }
    return await this.#problem()
  }

  async end(): Promise<void> {
    this.#issuer.close()
    this.#resolver.close()
    await this.#directory.close()
    for (const member of this.#members) member.cut()
  }

  #running(): readonly FakeOvsdb[] {
    return this.#members.filter((member) => !this.#frozen.has(member))
  }

  #write(): void {
    this.#changedAt = this.clock.now()
    const rows = southboundRows({ ...twoNetworks, ports: this.#ports })
    for (const member of this.#running()) member.setTables(rows)
  }

  async #flow(): Promise<void> {
    for (let round = 0; round < 4; round += 1) {
      for (const member of this.#running()) {
        member.answerLate()
        member.isMute = true
      }
      await settle()
    }
  }

  #keys(): readonly LeaseKey[] {
    const [first, second] = [guest(0x21, 'plain', '10.0.0.21'), guest(0x22, 'plain', '10.0.0.22')]
    const keyOf = (port: TopologyPort, network: keyof typeof networks): LeaseKey => ({
      scope: { kind: 'network', networkId: networks[network] },
      sourceIp: port.fixedIps[0] as LeaseKey['sourceIp'],
      sourceMac: port.macAddress,
    })
    return [keyOf(first, 'plain'), keyOf(second, 'plain'), keyOf(second, 'isolated')]
  }

  #truth({ scope, sourceIp }: LookupKey): string | undefined {
    return this.#ports.find(
      ({ networkId, fixedIps }) =>
        scope.kind === 'network' && networkId === scope.networkId && fixedIps.includes(sourceIp),
    )?.instanceId
  }

  async #named(key: LookupKey): Promise<string | undefined> {
    const cancellation = new Cancellation()
    try {
      const resolution = await Promise.race([
        this.#resolver.resolve(key, cancellation),
        settle().then(() => undefined),
      ])
      return resolution?.kind === 'found' ? resolution.identity.instanceId : undefined
    } catch {
      return undefined
    } finally {
      cancellation.cancel(new Error('nobody waits'))
    }
  }

  /** Asks as guests do, and for leases as workers do. @returns who was named wrongly */
  async #look(): Promise<string | undefined> {
    let wrong: string | undefined
    for (const key of this.#keys()) {
      const named = await this.#named(key)
      if (named === undefined) continue
      if (named !== this.#truth(key)) wrong = `${key.sourceIp} is named ${named}`
      this.#ask += 1
      this.#asks.set(this.#ask, { key, instance: named })
      this.#holder.request(this.#ask, key)
    }
    return wrong
  }

  #noteLease(news: LeaseNews): void {
    if (news.kind === 'revoke_all') this.#leases.clear()
    if (news.kind === 'revoke') for (const id of news.leases) this.#leases.delete(id)
    const asked = news.kind === 'lease' ? this.#asks.get(news.request) : undefined
    if (news.kind === 'lease' && asked !== undefined) this.#leases.set(news.lease, asked)
  }
}

/** The cold start at the depth of the other finds nothing more, and takes as long. */
for (const [start, longest] of [
  ['begin', depth],
  ['beginCold', depth - 1],
] as const) {
  t.test(
    `no order of events after ${start} leaves an old instance named for longer than the bound`,
    async (t) => {
      const tried = await everyOrder(
        async () => {
          const world = new World()
          await world[start]()
          return world
        },
        { depth: longest },
      )
      t.equal(tried.wrong, undefined, shownOrder(tried))
      t.comment(`${tried.states} orders`)
    },
  )
}
