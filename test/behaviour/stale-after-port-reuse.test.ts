import t from 'tap'
import { Resolver } from '../../agent-side/resolve/resolver.ts'
import type { LookupKey, Resolution } from '../../agent-side/resolve/resolution.ts'
import type { SourceMacPolicy } from '../../agent-side/resolve/identity-policy.ts'
import type { DirectoryChange, Port } from '../../agent-side/ports/directory/port-directory.ts'
import { Cancellation } from '../../lib/runtime/cancellation.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { SeededRandom } from '../support/random.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { ScriptedDirectory } from '../support/scripted-directory.ts'
import { startAgent, type Fields } from '../support/start-agent.ts'
import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
} from '../conformance/topology.ts'

const seed = Number(process.env['OVERLAPD_TEST_SEED'] ?? 20_261_122)
const ttl = 10_000

/** What is told of changes, and what guests let us know of themselves. */
interface World {
  readonly name: string
  readonly reuses: number
  readonly policy: SourceMacPolicy
  readonly sendsMac: (random: SeededRandom) => boolean
  /** What becomes of the news of a change. */
  readonly news: (random: SeededRandom) => 'at once' | 'late' | 'lost'
  readonly answersAtOnce: boolean
}

const worlds: readonly World[] = [
  {
    name: 'with source MACs, while news is late or lost',
    reuses: 10_000,
    policy: 'prefer',
    sendsMac: () => true,
    news: (random) => random.pick(['at once', 'late', 'lost', 'lost']),
    answersAtOnce: false,
  },
  {
    name: 'with source MACs verified, without any news',
    reuses: 2_000,
    policy: 'verify',
    sendsMac: () => true,
    news: () => 'lost',
    answersAtOnce: false,
  },
  {
    name: 'with and without source MACs, when news comes at once',
    reuses: 10_000,
    policy: 'prefer',
    sendsMac: (random) => random.chance(50),
    news: () => 'at once',
    answersAtOnce: true,
  },
  {
    name: 'without source MACs, when news comes at once',
    reuses: 2_000,
    policy: 'off',
    sendsMac: () => false,
    news: () => 'at once',
    answersAtOnce: false,
  },
]

const networkCount = 6
const addressesPerNetwork = 8

/** Networks with the same few addresses, whose owners change all the time. */
class ChangingNetworks {
  readonly clock = new FakeClock()
  readonly directory: ScriptedDirectory
  readonly #random: SeededRandom
  readonly #world: World
  readonly #owners = new Map<string, Port>()
  readonly #late: DirectoryChange[] = []
  #number = 0

  constructor(world: World, random: SeededRandom) {
    this.#world = world
    this.#random = random
    this.directory = new ScriptedDirectory(this.clock, world)
    // Routers have one, two or three of the networks, some the same ones; routers 1 to 6 have one each.
    for (let network = 1; network <= networkCount; network += 1) {
      this.directory.setRouter(routerId(network), [networkId(network)])
    }
    for (let network = 1; network <= networkCount; network += 1) {
      for (let host = 1; host <= addressesPerNetwork; host += 1) this.#occupy(network, host)
    }
    this.directory.remember()
  }

  /** An address goes to a new port of a new instance; the old port is gone. */
  reuse(): void {
    const network = 1 + this.#random.below(networkCount)
    const host = 1 + this.#random.below(addressesPerNetwork)
    this.#occupy(network, host)
    const change = { kind: 'network', networkId: networkId(network) } as const
    const fate = this.#world.news(this.#random)
    // News means that cached answers are of the new state, too: a directory tells after it knows.
    if (fate === 'at once') {
      this.directory.remember()
      this.directory.tell(change)
    } else if (fate === 'late') {
      this.#late.push(change)
    }
    if (this.#late.length > 0 && this.#random.chance(30)) {
      if (this.#random.chance(50)) this.directory.remember()
      for (const one of this.#late.splice(0)) this.directory.tell(one)
    }
    if (this.#world.news(this.#random) === 'lost' && this.#random.chance(5))
      this.directory.remember()
  }

  /** Some guest's request, and the instance it must not be taken for anything but. */
  guest(): { readonly key: LookupKey; readonly port: Port } {
    const network = 1 + this.#random.below(networkCount)
    const host = 1 + this.#random.below(addressesPerNetwork)
    const port = this.#owners.get(`${network} ${host}`)!
    const scope = this.#random.chance(50)
      ? ({ kind: 'network', networkId: networkId(network) } as const)
      : ({ kind: 'router', routerId: routerId(network) } as const)
    const sourceMac = this.#world.sendsMac(this.#random) ? port.macAddress : undefined
    return { key: { scope, sourceIp: this.#random.pick(port.fixedIps), sourceMac }, port }
  }

  exists(port: Port): boolean {
    return [...this.#owners.values()].includes(port)
  }

  #occupy(network: number, host: number): void {
    const place = `${network} ${host}`
    const before = this.#owners.get(place)
    if (before !== undefined) this.directory.deletePort(before.portId)
    this.#number += 1
    const port: Port = {
      portId: portId(this.#number),
      networkId: networkId(network),
      macAddress: mac(this.#number),
      fixedIps: [ip(`10.0.0.${host}`), ip(`fd00::${host}`)],
      instanceId: instanceId(this.#number),
      projectId: projectId(network),
    }
    this.#owners.set(place, port)
    this.directory.setPorts(port)
  }
}

for (const world of worlds) {
  t.test(
    `no instance gets another's metadata over ${world.reuses} reused addresses, ${world.name}`,
    async (t) => {
      const random = new SeededRandom(seed)
      const networks = new ChangingNetworks(world, random)
      const { clock, directory } = networks
      const resolver = new Resolver({
        directory,
        clock,
        sourceMac: world.policy,
        cache: { max: 200, ttl, maxNegative: 50, maxNegativePerScope: 10, ttlNegative: 1_000 },
        timeout: 10_000,
        maxLookups: 1_000,
        maxLookupsPerScope: 1_000,
      })
      const outcomes = { right: 0, refused: 0, wrong: 0 }
      const judge = (resolution: Resolution, port: Port): void => {
        if (resolution.kind !== 'found') outcomes.refused += 1
        else if (resolution.identity.instanceId === port.instanceId) outcomes.right += 1
        else outcomes.wrong += 1
      }

      for (let round = 0; round < world.reuses; round += 1) {
        networks.reuse()
        for (let asked = random.below(3); asked >= 0; asked -= 1) {
          const { key, port } = networks.guest()
          try {
            judge(await resolver.resolve(key, new Cancellation()), port)
          } catch (thrown) {
            if (!(thrown instanceof MetadataError)) throw thrown
            outcomes.refused += 1
          }
        }
        // Not `advance()`: nothing waits, and its turns of the event loop would be most of the test.
        if (random.chance(40)) clock.pass(random.below(3_000))
      }

      t.equal(outcomes.wrong, 0, `seed ${seed}`)
      t.equal(outcomes.refused, 0, 'every guest has a port, so each is found')
      t.ok(outcomes.right > world.reuses)
    },
  )
}

for (const policy of ['prefer', 'verify'] as const) {
  t.test(
    `no answer is wrong while addresses change hands, with source_mac ${policy}`,
    async (t) => {
      const random = new SeededRandom(seed)
      const networks = new ChangingNetworks(worlds[0]!, random)
      const { clock, directory } = networks
      const resolver = new Resolver({
        directory,
        clock,
        sourceMac: policy,
        cache: { max: 200, ttl, maxNegative: 50, maxNegativePerScope: 10, ttlNegative: 1_000 },
        timeout: 10_000,
        maxLookups: 1_000,
        maxLookupsPerScope: 1_000,
      })
      let wrong = 0
      for (let round = 0; round < 500; round += 1) {
        const release = directory.hold()
        const answers = Array.from({ length: 20 }, async () => {
          const { key, port } = networks.guest()
          const resolution = await resolver.resolve(key, new Cancellation())
          if (resolution.kind !== 'found') return
          // With `prefer`, a port that is gone before anybody saw it leaves a MAC like any routed guest's.
          if (policy === 'prefer' && !networks.exists(port)) return
          if (resolution.identity.instanceId !== port.instanceId) wrong += 1
        })
        for (let change = 0; change < 5; change += 1) networks.reuse()
        release()
        await Promise.allSettled(answers)
        clock.pass(random.below(2_000))
      }
      t.equal(wrong, 0, `seed ${seed}`)
    },
  )
}

t.test(
  'without MACs and without news, an old identity lives no longer than its age limit',
  async (t) => {
    const clock = new FakeClock()
    const directory = new ScriptedDirectory(clock)
    const port = (number: number): Port => ({
      portId: portId(number),
      networkId: networkId(1),
      macAddress: mac(number),
      fixedIps: [ip('10.0.0.10')],
      instanceId: instanceId(number),
      projectId: projectId(number),
    })
    directory.setPorts(port(1))
    directory.remember()
    const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
    t.teardown(() => upstream.close())
    const agent = await startAgent(t, { clock, directory, upstreams: [upstream.url] })
    const fields: Fields = [
      ['X-Neutron-Network-ID', networkId(1)],
      ['X-Forwarded-For', '10.0.0.10'],
    ]
    const ask = async (extra: Fields = []) =>
      (await agent.ask('/latest', [...fields, ...extra]))?.body.toString()
    t.equal(await ask(), instanceId(1))

    directory.deletePort(portId(1))
    directory.setPorts(port(2))
    t.equal(await ask([['X-Overlapd-Source-MAC', mac(2)]]), instanceId(2), 'a new MAC: at once')
    clock.pass(ttl + 1)
    directory.remember()
    t.equal(await ask(), instanceId(2), 'no MAC: after the age limit at the latest')
  },
)

t.test('an instance that compute no longer knows is looked up once more', async (t) => {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  const port = (number: number): Port => ({
    portId: portId(1),
    networkId: networkId(1),
    macAddress: mac(1),
    fixedIps: [ip('10.0.0.10')],
    instanceId: instanceId(number),
    projectId: projectId(number),
  })
  directory.setPorts(port(1))
  directory.remember()
  const known = new Set<string>([instanceId(1)])
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t', (id) => known.has(id)))
  t.teardown(() => upstream.close())
  const agent = await startAgent(t, { clock, directory, upstreams: [upstream.url] })
  const fields: Fields = [
    ['X-Neutron-Network-ID', networkId(1)],
    ['X-Forwarded-For', '10.0.0.10'],
    ['X-Overlapd-Source-MAC', mac(1)],
  ]
  // The root is answered to everybody, so that it vouches for nobody.
  await agent.ask('/', fields)
  clock.pass(3_000)

  // The same port, with its address and MAC, is given to another instance; nobody tells.
  directory.setPorts(port(2))
  known.clear()
  known.add(instanceId(2))
  const answer = await agent.ask('/latest', fields)
  t.equal(answer?.status, 200)
  t.equal(answer?.body.toString(), instanceId(2))
  t.equal(upstream.requests.length, 3)

  t.test('but a 404 for a path queries no directory', async (t) => {
    const before = directory.asked.length
    known.clear()
    clock.pass(3_000)
    const answer = await agent.ask('/latest/nothing', fields)
    t.equal(answer?.status, 404)
    t.equal(answer?.body.toString(), 'No such instance.', 'as compute said it')
    t.equal(directory.asked.length, before, 'compute has just shown that it knows the instance')
  })

  t.test('and a request with a body is not sent twice', async (t) => {
    const before = upstream.requests.length
    clock.pass(20_000)
    const answer = await agent.ask('/openstack/latest/password', fields, {
      method: 'POST',
      body: 'secret',
    })
    t.equal(answer?.status, 404)
    t.equal(upstream.requests.length, before + 1)
  })

  t.test('and a port that is gone is reported gone', async (t) => {
    await agent.ask('/', fields)
    clock.pass(3_000)
    directory.deletePort(portId(1))
    const answer = await agent.ask('/latest', fields)
    t.equal(answer?.status, 404)
    t.equal(answer?.field('x-overlapd-reason'), 'no_port')
  })
})
