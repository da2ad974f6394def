import t from 'tap'
import { neutronRpcDefaults } from '../../../support/neutron-defaults.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import { silentLogger } from '../../../../lib/runtime/log.ts'
import { createRegistry } from '../../../../lib/observe/metrics.ts'
import { Secret } from '../../../../lib/runtime/secret.ts'
import type { BusEvents, NeutronBus } from '../../../../agent-side/ports/neutron-rpc/bus/bus.ts'
import { NeutronRpcDirectory } from '../../../../agent-side/ports/neutron-rpc/directory.ts'
import type { JsonObject } from '../../../../agent-side/ports/directory/neutron-port.ts'
import { parseNeutronPort } from '../../../../agent-side/ports/directory/neutron-port.ts'
import { parsePortId } from '../../../../lib/identity/ids.ts'
import type { Freshness } from '../../../../agent-side/ports/directory/port-directory.ts'
import { everyOrder, shownOrder, type OrderedWorld } from '../../../support/every-order.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import type { PortRow } from '../../../support/fake-neutron-rpc.ts'
import {
  firstNetwork,
  onlyRouter,
  queryOf,
  secondNetwork,
  SmallNeutron,
  type ChangeName,
} from '../../../support/small-neutron.ts'

interface Question {
  readonly name: string
  readonly filters: JsonObject
  readonly answer: (rows: readonly PortRow[]) => void
  readonly fail: (why: MetadataError) => void
  rows?: readonly PortRow[]
}

interface Push {
  readonly name: string
  readonly place: number
  readonly portId: string
  readonly row: PortRow | undefined
}

interface RpcWorldOptions {
  readonly changes: readonly ChangeName[]
  readonly asks: readonly ('first' | 'second' | 'router')[]
  readonly freshness?: readonly Freshness[]
  /** Steps that have been taken before any order begins. @default none */
  readonly begun?: readonly string[]
  /** How often the connection may be cut. */
  readonly cuts: number
  /** How often a minute may pass. */
  readonly minutes?: number
}

const atOnce = new Promise<void>((resolve) => resolve())

/** The real directory between a Neutron, whose pushes and answers may come in any order, and a resolver that asks. */
class RpcWorld implements OrderedWorld {
  readonly #options: RpcWorldOptions
  readonly #neutron: SmallNeutron
  readonly #clock = new FakeClock(1_000_000)
  readonly #directory: NeutronRpcDirectory
  readonly #told: string[] = []
  readonly #known = new Set<number>()
  #events: BusEvents | undefined
  #questions: readonly Question[] = []
  #pushes: readonly Push[] = []
  #asked = 0
  #cuts = 0
  #minutes = 0
  #isUp = false
  #wrong: string | undefined

  constructor(options: RpcWorldOptions) {
    this.#options = options
    this.#neutron = new SmallNeutron(options.changes)
    for (let place = 0; place < this.#neutron.length; place += 1) this.#known.add(place)
    this.#directory = new NeutronRpcDirectory(
      {
        ...neutronRpcDefaults,
        transportUrl: new Secret('rabbit://u:p@h/'),
        reportInterval: 0,
        host: 'test',
      },
      {
        clock: this.#clock,
        logger: silentLogger,
        registry: createRegistry(),
        bus: ({ events }) => {
          this.#events = events
          return this.#bus()
        },
      },
    )
    this.#connect()
  }

  static async make(options: RpcWorldOptions): Promise<RpcWorld> {
    const world = new RpcWorld(options)
    await settled()
    for (const step of options.begun ?? []) await world.take(step)
    return world
  }

  steps(): readonly string[] {
    const { asks, freshness = ['cached'], cuts, minutes = 0 } = this.#options
    const asking = this.#questions.length < 2 ? asks : []
    return [
      ...asking.flatMap((what) => freshness.map((fresh) => `ask ${what} ${fresh}`)),
      ...this.#neutron.possible().map((name) => `commit: ${name}`),
      ...this.#questions.map(
        ({ name, rows }) => `${rows === undefined ? 'read' : 'answer'} ${name}`,
      ),
      ...(this.#isUp ? this.#pushes.map(({ name }) => `deliver: ${name}`) : []),
      ...(this.#isUp ? [] : this.#pushes.map(({ name }) => `lose: ${name}`)),
      ...(this.#isUp && this.#cuts < cuts ? ['cut'] : []),
      ...(this.#isUp ? [] : ['connect']),
      ...(this.#minutes < minutes ? ['a minute passes'] : []),
    ]
  }

  async take(step: string): Promise<void> {
    const [verb = '', what = '', fresh = ''] = step.split(' ')
    const named = step.slice(step.indexOf(': ') + 2)
    if (verb === 'ask') this.#ask(what, fresh as Freshness)
    else if (verb === 'commit:') {
      const place = this.#neutron.length
      this.#pushes = [
        ...this.#pushes,
        { name: named, place, ...this.#neutron.commit(named as ChangeName) },
      ]
    } else if (verb === 'read') {
      const question = this.#questions.find(({ name }) => name === what)
      if (question !== undefined)
        question.rows = this.#neutron.rows().filter((row) => fits(row, question.filters))
    } else if (verb === 'answer') this.#answer(what)
    else if (verb === 'deliver:') this.#deliver(named)
    else if (verb === 'lose:') this.#pushes = this.#pushes.filter(({ name }) => name !== named)
    else if (verb === 'cut') this.#cut()
    else if (verb === 'connect') this.#connect()
    else {
      this.#minutes += 1
      this.#told.push('minute')
      await this.#clock.advance(60_000)
    }
    // What is wanted in one turn of the loop goes into one question.
    if (verb === 'ask' || verb === 'answer') await new Promise((resolve) => setImmediate(resolve))
    await settled()
  }

  state(): string {
    const questions = this.#questions.map(({ name, rows }) => `${name}=${shown(rows)}`)
    const pushes = this.#pushes.map(({ name }) => name).toSorted()
    const rows = shown(this.#neutron.rows())
    const known = [...this.#known].toSorted((a, b) => a - b)
    return JSON.stringify([
      this.#told,
      rows,
      questions,
      pushes,
      this.#isUp,
      this.#cuts,
      known,
      this.#neutron.text(),
    ])
  }

  wrong(): string | undefined {
    return this.#wrong
  }

  async end(): Promise<void> {
    await this.#directory.close()
  }

  #bus(): NeutronBus {
    return {
      rpc: { call: () => Promise.resolve(null), cast: () => atOnce },
      lastProblem: 'cut',
      start: () => undefined,
      close: () => atOnce,
      probe: () => Promise.resolve('received'),
      getPorts: (filters) =>
        new Promise((answer, fail) => {
          this.#asked += 1
          const name = `#${this.#asked}`
          this.#told.push(`asked ${name} ${JSON.stringify(filters)}`)
          this.#questions = [...this.#questions, { name, filters, answer, fail }]
        }),
    }
  }

  #connect(): void {
    this.#isUp = true
    this.#told.push('up')
    // Whatever is asked from now on is read later than this.
    for (let place = 0; place < this.#neutron.length; place += 1) this.#known.add(place)
    this.#events?.up()
  }

  #cut(): void {
    this.#isUp = false
    this.#cuts += 1
    this.#told.push('cut')
    const lost = this.#questions
    this.#questions = []
    for (const { fail } of lost) fail(new MetadataError('directory_unavailable', 'cut'))
    this.#events?.down('cut', 0)
  }

  #answer(name: string): void {
    const question = this.#questions.find((one) => one.name === name)
    this.#questions = this.#questions.filter((one) => one !== question)
    this.#told.push(`answer ${name} ${shown(question?.rows)}`)
    question?.answer(question.rows ?? [])
  }

  #deliver(name: string): void {
    const push = this.#pushes.find((one) => one.name === name)
    if (push === undefined) return
    this.#pushes = this.#pushes.filter((one) => one !== push)
    this.#told.push(`push ${name}`)
    this.#known.add(push.place)
    const portId = parsePortId(push.portId)
    if (portId === undefined) throw new TypeError('A port has no id')
    this.#events?.push([
      push.row === undefined
        ? { kind: 'deleted', portId }
        : { kind: 'updated', held: parseNeutronPort(push.row) },
    ])
  }

  /** Asks, and looks at the answer, whenever it comes, by what had to be known when it was asked for. */
  #ask(what: string, freshness: Freshness): void {
    const known = new Set(this.#known)
    const asked = { signal: new AbortController().signal, freshness }
    const judge = (wrong: string | undefined): void => {
      const { ready, detail } = this.#directory.readiness()
      if (wrong !== undefined) this.#wrong ??= `${wrong} (ready ${ready}: ${detail})`
    }
    const network = what === 'second' ? secondNetwork : firstNetwork
    const told = this.#told.length
    const answer =
      what === 'router'
        ? this.#directory.interfacesOfRouter(onlyRouter, asked)
        : this.#directory.findPorts(queryOf(network), asked)
    if (answer instanceof Promise && this.#told.length === told)
      this.#told.push(`waits ${what} ${freshness}`)
    const looked = async (): Promise<void> => {
      const said = await answer
      if ('ports' in said) judge(this.#neutron.wrongPorts(network, said.ports, known))
      else judge(this.#neutron.wrongNetworks(said.interfaces, known))
    }
    looked().catch((thrown: unknown) => {
      if (!(thrown instanceof MetadataError)) this.#wrong ??= String(thrown)
    })
  }
}

/** Lets promises that are kept go on, without the turn of the loop that takes most of the time. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 40; turn += 1) await Promise.resolve()
}

function fits(row: PortRow, filters: JsonObject): boolean {
  return Object.entries(filters).every(([name, values]) =>
    (values as readonly unknown[]).includes(row[name]),
  )
}

function shown(rows: readonly PortRow[] | undefined): string {
  if (rows === undefined) return '-'
  return rows.map((row) => `${row.id.slice(-2)}@${String(row['revision_number'])}`).join()
}

async function tried(options: RpcWorldOptions, depth: number): Promise<string> {
  const orders = await everyOrder(() => RpcWorld.make(options), { depth })
  t.comment(`${orders.states} states, ${orders.steps} steps`)
  return shownOrder(orders)
}

const right = 'no order goes wrong'
/** The first network is held and pushes are relied on. */
const held = ['ask first cached', 'read #1', 'answer #1']

t.test('whatever comes while a network is fetched for the first time', async (t) => {
  const changes = [
    'the port is given to B',
    'the port is deleted',
    'a port of C is made in its place',
  ] as const
  t.equal(await tried({ changes, asks: ['first'], cuts: 0 }, 7), right)
})

t.test('whatever is lost while there is no connection', async (t) => {
  const changes = ['the port is given to B', 'the port is deleted'] as const
  const pushed = ['commit: the port is given to B', 'deliver: the port is given to B']
  const begun = [...held, ...pushed]
  t.equal(await tried({ changes, asks: ['first'], cuts: 1, begun }, 7), right)
})

t.test('whatever happens to the interfaces of a router', async (t) => {
  const changes = [
    'the router leaves the first network',
    'the router joins the second network',
  ] as const
  const begun = [...held, 'ask router cached', 'read #2', 'answer #2']
  t.equal(await tried({ changes, asks: ['router'], cuts: 1, begun }, 7), right)
  t.equal(await tried({ changes, asks: ['router', 'first'], cuts: 0 }, 6), right)
})
