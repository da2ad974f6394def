import t from 'tap'
import type {
  Port,
  PortQuery,
  RouterInterface,
} from '../../../../agent-side/ports/directory/port-directory.ts'
import { SouthboundCopy } from '../../../../agent-side/ports/ovn/southbound-copy.ts'
import type { RouterId } from '../../../../lib/identity/ids.ts'
import type { ScopeText } from '../../../../lib/identity/scope.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeOvsdb, type FakeTables } from '../../../support/fake-ovsdb.ts'
import { ovnDirectory } from '../../../support/ovn-directory.ts'
import {
  OvnWorld,
  worldAddresses,
  worldMacs,
  worldNetworks,
  worldRouters,
} from '../../../support/ovn-world.ts'
import { SeededRandom } from '../../../support/random.ts'

/** All of them: `OVERLAPD_TEST_STEPS=100000`. */
const steps = Number(process.env['OVERLAPD_TEST_STEPS'] ?? 3_000)
const seed = Number(process.env['OVERLAPD_TEST_SEED'] ?? 12)

/** What one copy of everything answers. */
function copyOf(tables: FakeTables): SouthboundCopy {
  const copy = new SouthboundCopy()
  for (const [table, rows] of Object.entries(tables)) {
    for (const [uuid, row] of Object.entries(rows)) copy.apply({ kind: 'put', table, uuid, row })
  }
  return copy
}

function shownPorts(ports: readonly Port[]): string {
  return JSON.stringify(
    ports
      .map((port) =>
        JSON.stringify([
          port.portId,
          port.networkId,
          port.macAddress,
          port.fixedIps.toSorted(),
          port.instanceId,
          port.deviceOwner,
        ]),
      )
      .toSorted(),
  )
}

function shownInterfaces(interfaces: readonly RouterInterface[]): string {
  return JSON.stringify(
    interfaces.map(({ networkId, portId }) => `${networkId} ${portId ?? ''}`).toSorted(),
  )
}

type Question =
  | { readonly kind: 'ports'; readonly query: PortQuery }
  | { readonly kind: 'router'; readonly routerId: RouterId }

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** A served directory beside a server that changes, breaks and delays. */
class Run {
  readonly random = new SeededRandom(seed)
  readonly clock = new FakeClock()
  readonly fake = new FakeOvsdb('/one', {
    status: { name: 'OVN_Southbound', model: 'clustered', connected: true, leader: true },
  })
  readonly world = new OvnWorld(this.random)
  readonly directory = ovnDirectory({
    clock: this.clock,
    config: { copy: 'served', ovn_sb_connection: ['unix:/one'], max_unconfirmed: '10s' },
    connect: async () => this.fake.connect(),
    random: () => 0.001,
  })
  readonly wrong: string[] = []
  answered = 0
  refused = 0
  /** What has been true since the directory was last in step. */
  #truths: FakeTables[] = []
  #served = new Set<ScopeText>()

  async begin(): Promise<void> {
    this.fake.isMute = true
    this.#write()
    await this.directory.start()
    await this.flow()
  }

  async step(): Promise<void> {
    const roll = this.random.below(100)
    if (roll < 40) {
      this.world.change()
      this.#write()
    } else if (roll < 50) this.#serve()
    else if (roll < 52) this.fake.cut()
    else if (roll < 53) this.#restart()
    else if (roll < 70) this.fake.answerOne()
    else if (roll < 75) await this.clock.advance(this.random.below(1_500))
    else if (roll < 90) await this.ask(this.#question(), false)
    else await this.inStep()
    await turns(1)
  }

  /** Everything arrives; then each answer has to be there, and right. */
  async inStep(): Promise<void> {
    await this.flow()
    if (!this.directory.isConfirmed()) {
      await this.clock.advance(2_500)
      await this.flow()
    }
    if (!this.directory.isConfirmed()) return
    this.#truths = this.#truths.slice(-1)
    for (let count = 0; count < 3; count += 1) await this.ask(this.#question(), true)
  }

  async flow(): Promise<void> {
    for (let round = 0; round < 6; round += 1) {
      this.fake.answerLate()
      this.fake.isMute = true
      await turns(4)
    }
  }

  async ask(question: Question, isInStep: boolean): Promise<void> {
    const abort = new AbortController()
    const isFresh = isInStep || this.random.chance(50)
    const options = { signal: abort.signal, freshness: isFresh ? 'fresh' : 'cached' } as const
    let answer: string | undefined
    const asking = (async () => {
      const { directory } = this
      answer =
        question.kind === 'ports'
          ? shownPorts((await directory.findPorts(question.query, options)).ports)
          : shownInterfaces(
              (await directory.interfacesOfRouter(question.routerId, options)).interfaces,
            )
    })().catch((thrown: unknown) => {
      if (!(thrown instanceof MetadataError) && !abort.signal.aborted) throw thrown
      this.refused += 1
    })
    await turns(1)
    // A router with networks that nobody knows yet takes one answer for each step from row to row.
    for (let round = 0; round < 3 && isInStep && answer === undefined; round += 1) await this.flow()
    abort.abort(new Error('it takes too long'))
    await asking
    if (answer === undefined) {
      if (isInStep && this.directory.isConfirmed()) {
        this.wrong.push(
          `no answer in step: ${JSON.stringify(question)} ${this.directory.readiness().detail} ${JSON.stringify(this.fake.requests.slice(-4))}`,
        )
      }
      return
    }
    this.answered += 1
    const given = answer
    if (this.#truths.some((tables) => isRight(given, question, tables))) return
    const truths = this.#truths.map((tables) => answerOf(copyOf(tables), question))
    this.wrong.push(`${JSON.stringify(question)}: ${given}, not ${truths.join(' or ')}`)
  }

  /** Nothing is served and asked for any more. */
  async leave(): Promise<void> {
    this.directory.serve(new Set())
    await this.clock.advance(3_600_000 + 1_200_000)
    for (let round = 0; round < 5; round += 1) await this.inStep()
    this.directory.serve(new Set())
    await this.clock.advance(3_600_000 + 1_200_000)
    for (let round = 0; round < 5; round += 1) await this.flow()
    await this.clock.advance(5_000)
    await this.flow()
  }

  #write(): void {
    this.fake.setTables(this.world.tables)
    this.#truths.push(this.world.tables)
  }

  #restart(): void {
    this.fake.forgetHistory()
    this.fake.cut()
  }

  #serve(): void {
    const scopes = [
      ...worldNetworks.map((id): ScopeText => `network/${id}`),
      ...worldRouters.map((id): ScopeText => `router/${id}`),
    ]
    const scope = this.random.pick(scopes)
    if (!this.#served.delete(scope)) this.#served.add(scope)
    this.directory.serve(new Set(this.#served))
  }

  #question(): Question {
    if (this.random.chance(30)) return { kind: 'router', routerId: this.random.pick(worldRouters) }
    const networkIds = [this.random.pick(worldNetworks)]
    if (this.random.chance(20)) networkIds.push(this.random.pick(worldNetworks))
    const fixedIp = this.random.pick(worldAddresses)
    const macAddress = this.random.chance(50) ? this.random.pick(worldMacs) : undefined
    return { kind: 'ports', query: { networkIds, fixedIp, ...(macAddress && { macAddress }) } }
  }
}

function answerOf(copy: SouthboundCopy, question: Question): string {
  return question.kind === 'ports'
    ? shownPorts(copy.find(question.query))
    : shownInterfaces(copy.interfacesOfRouter(question.routerId))
}

/** An interface whose other side is not on the router may be left out: no guest's packets pass there. */
function isRight(answer: string, question: Question, tables: FakeTables): boolean {
  const truth = answerOf(copyOf(tables), question)
  if (question.kind === 'ports' || answer === truth) return answer === truth
  const given = JSON.parse(answer) as string[]
  const all = JSON.parse(truth) as string[]
  const joined = all.filter((one) => isJoined(one.split(' ')[1] ?? '', question.routerId, tables))
  return given.every((one) => all.includes(one)) && joined.every((one) => given.includes(one))
}

function isJoined(portId: string, routerId: RouterId, tables: FakeTables): boolean {
  const { Port_Binding: ports = {}, Datapath_Binding: datapaths = {} } = tables
  const side = Object.values(ports).find(({ logical_port: name }) => name === `lrp-${portId}`)
  const [, datapath] = (side?.['datapath'] ?? []) as [string?, string?]
  return JSON.stringify(datapaths[datapath ?? ''] ?? '').includes(`neutron-${routerId}`)
}

t.test('OvnDirectory with copy "served" answers as one that copies everything', async (t) => {
  t.comment(`seed ${seed}, ${steps} steps`)
  const run = new Run()
  t.teardown(async () => {
    const closed = run.directory.close()
    run.fake.cut()
    await closed
  })
  await run.begin()
  for (let step = 0; step < steps && run.wrong.length === 0; step += 1) await run.step()
  t.strictSame(run.wrong, [])
  t.comment(`${run.answered} answers, ${run.refused} refusals`)
  t.ok(run.answered > steps / 5)
})
