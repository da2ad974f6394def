import t from 'tap'
import { neutronRestDefaults } from '../../../support/neutron-defaults.ts'
import { NeutronRestDirectory } from '../../../../agent-side/ports/neutron-rest/directory.ts'
import type {
  Exchanges,
  HttpAnswer,
  HttpRequest,
} from '../../../../agent-side/ports/neutron-rest/http/http.ts'
import type { Freshness } from '../../../../agent-side/ports/directory/port-directory.ts'
import type { MonotonicMilliseconds } from '../../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import { silentLogger } from '../../../../lib/runtime/log.ts'
import { createRegistry } from '../../../../lib/observe/metrics.ts'
import { everyOrder, shownOrder, type OrderedWorld } from '../../../support/every-order.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakePorts, type PortRow } from '../../../support/fake-ports.ts'
import {
  firstNetwork,
  onlyRouter,
  queryOf,
  secondNetwork,
  SmallNeutron,
  type ChangeName,
} from '../../../support/small-neutron.ts'

const { maxAge, maxStale } = neutronRestDefaults

interface Question {
  readonly name: string
  readonly url: URL
  readonly answer: (answer: HttpAnswer) => void
  readonly fail: (why: unknown) => void
  /** What the server has read, once it has. */
  read?: { readonly text: string; readonly version: number }
}

interface RestWorldOptions {
  readonly changes: readonly ChangeName[]
  readonly asks: readonly ('first' | 'second' | 'router')[]
  readonly freshness: readonly Freshness[]
  /** Steps that have been taken before any order begins. @default none */
  readonly begun?: readonly string[]
  /** How often the way to Neutron may be cut. */
  readonly cuts: number
  /** How often an answer may be lost by itself. */
  readonly losses?: number
  /** How often time passes: as long as a copy is good, and as long as one is used while Neutron is away. */
  readonly waits?: number
}

/** The real directory before a Neutron that answers when the order says so, and a resolver that asks. */
class RestWorld implements OrderedWorld {
  readonly #options: RestWorldOptions
  readonly #neutron: SmallNeutron
  readonly #clock = new FakeClock(1_000_000)
  readonly #directory: NeutronRestDirectory
  /** When each commit was made, by its place in history. */
  readonly #committedAt: MonotonicMilliseconds[] = []
  readonly #told: string[] = []
  #questions: readonly Question[] = []
  #asked = 0
  #cuts = 0
  #losses = 0
  #waits = 0
  #isUp = true
  /** Nothing was answered since the last failure: nobody is asked for a while. */
  #isFailing = false
  #wrong: string | undefined

  private constructor(options: RestWorldOptions) {
    this.#options = options
    this.#neutron = new SmallNeutron(options.changes)
    this.#date(0)
    this.#directory = new NeutronRestDirectory(
      { ...neutronRestDefaults, endpoint: 'http://neutron', attempts: 1 },
      {
        clock: this.#clock,
        logger: silentLogger,
        registry: createRegistry(),
        random: () => 0.5,
        http: this.#http(),
      },
    )
  }

  static async make(options: RestWorldOptions): Promise<RestWorld> {
    const world = new RestWorld(options)
    await world.#directory.start()
    await settled()
    for (const step of ['read #1', 'answer #1', ...(options.begun ?? [])]) await world.take(step)
    return world
  }

  steps(): readonly string[] {
    const { asks, freshness, cuts, losses = 0, waits = 0 } = this.#options
    const asking = this.#questions.length < 2 ? asks : []
    return [
      ...asking.flatMap((what) => freshness.map((fresh) => `ask ${what} ${fresh}`)),
      ...this.#neutron.possible().map((name) => `commit: ${name}`),
      ...this.#questions.map(({ name, read }) => `${read ? 'answer' : 'read'} ${name}`),
      ...(this.#losses < losses ? this.#questions.map(({ name }) => `lose ${name}`) : []),
      ...(this.#isUp && this.#cuts < cuts ? ['cut'] : []),
      ...(this.#isUp ? [] : ['connect']),
      ...(this.#waits < waits ? [`wait ${maxAge}`, `wait ${maxStale - maxAge}`] : []),
    ]
  }

  async take(step: string): Promise<void> {
    const [verb = '', what = '', fresh = ''] = step.split(' ')
    if (verb === 'ask') this.#ask(what, fresh as Freshness)
    else if (verb === 'commit:') {
      this.#neutron.commit(step.slice(step.indexOf(': ') + 2) as ChangeName)
      this.#date(this.#clock.now())
    } else if (verb === 'read') this.#read(what)
    else if (verb === 'answer') this.#answer(what)
    else if (verb === 'lose') this.#lose(what)
    else if (verb === 'cut') {
      this.#isUp = false
      this.#cuts += 1
      this.#told.push('cut')
      for (const { name } of this.#questions) this.#fail(name)
    } else if (verb === 'connect') {
      this.#isUp = true
      this.#told.push('connect')
    } else {
      this.#waits += 1
      this.#told.push(step)
      await this.#clock.advance(Number(what))
    }
    // Nothing that matters happens at the same moment as something else.
    if (verb === 'ask' || verb === 'answer') await this.#clock.advance(1)
    await settled()
  }

  state(): string {
    return JSON.stringify([
      this.#told,
      this.#questions.map(({ name, read }) => [name, read?.version ?? null]),
      this.#neutron.text(),
      this.#committedAt,
      this.#clock.now(),
      [this.#isUp, this.#isFailing, this.#cuts, this.#losses, this.#waits],
    ])
  }

  wrong(): string | undefined {
    return this.#wrong
  }

  async end(): Promise<void> {
    await this.#directory.close()
  }

  #date(now: MonotonicMilliseconds): void {
    while (this.#committedAt.length < this.#neutron.length) this.#committedAt.push(now)
  }

  #http(): Exchanges {
    return {
      close: () => undefined,
      exchange: ({ url, signal }: HttpRequest) =>
        new Promise((answer, fail) => {
          this.#asked += 1
          const name = `#${this.#asked}`
          this.#told.push(`asked ${name}`)
          this.#questions = [...this.#questions, { name, url: new URL(url), answer, fail }]
          signal.addEventListener('abort', () => {
            this.#questions = this.#questions.filter((question) => question.name !== name)
            fail(signal.reason)
          })
          if (!this.#isUp) this.#fail(name)
        }),
    }
  }

  #read(name: string): void {
    const question = this.#questions.find((one) => one.name === name)
    if (question === undefined) return
    const ports = new FakePorts()
    ports.rows = this.#neutron.rows() as unknown as PortRow[]
    const text = JSON.stringify(ports.list(question.url.searchParams, 'http://neutron'))
    question.read = { text, version: this.#neutron.length }
  }

  #answer(name: string): void {
    const question = this.#questions.find((one) => one.name === name)
    if (question?.read === undefined) return
    this.#questions = this.#questions.filter((one) => one !== question)
    const { text, version } = question.read
    this.#told.push(`answer ${name} ${version}`)
    this.#isFailing = false
    question.answer({ status: 200, header: () => undefined, text })
  }

  #lose(name: string): void {
    this.#losses += 1
    this.#told.push(`lose ${name}`)
    this.#fail(name)
  }

  #fail(name: string): void {
    const question = this.#questions.find((one) => one.name === name)
    this.#questions = this.#questions.filter((one) => one !== question)
    this.#isFailing = true
    const details = { connection: true }
    question?.fail(new MetadataError('directory_unavailable', 'cut', { details }))
  }

  /** Which commits an answer has to know if it is as old as this at most. */
  #knownAt(moment: MonotonicMilliseconds): ReadonlySet<number> {
    const known = new Set<number>()
    for (const [place, at] of this.#committedAt.entries()) if (at <= moment) known.add(place)
    return known
  }

  /** Asks, and looks at the answer, whenever it comes. */
  #ask(what: string, freshness: Freshness): void {
    const sentAt = this.#clock.now()
    const wasFailing = this.#isFailing
    const everything = new Set(this.#committedAt.keys())
    const began = this.#told.length
    const asked = { signal: new AbortController().signal, freshness }
    const network = what === 'second' ? secondNetwork : firstNetwork
    const answer =
      what === 'router'
        ? this.#directory.interfacesOfRouter(onlyRouter, asked)
        : this.#directory.findPorts(queryOf(network), asked)
    if (answer instanceof Promise) this.#told.push(`waits ${what} ${freshness}`)
    const looked = async (): Promise<void> => {
      const said = await answer
      // Only where something failed may it be as old as for bad times.
      const hasFailed = this.#told.slice(began).some((one) => /^(?:cut|lose)/.test(one))
      const isBad = hasFailed || wasFailing || !this.#isUp
      const oldest = isBad
        ? Math.min(sentAt - maxAge, this.#clock.now() - maxStale)
        : sentAt - maxAge
      const known = freshness === 'fresh' ? everything : this.#knownAt(oldest)
      const wrong =
        'ports' in said
          ? this.#neutron.wrongPorts(network, said.ports, known)
          : this.#neutron.wrongNetworks(said.interfaces, known)
      if (wrong !== undefined) this.#wrong ??= `${what}, ${freshness}: ${wrong}`
      // Whoever remembers the answer must not do so for longer than it is good.
      const longest = freshness === 'fresh' ? sentAt : oldest
      if (said.asOf < longest || (said.until ?? Infinity) > said.asOf + maxAge)
        this.#wrong ??= `${what}, ${freshness}: good from ${said.asOf} until ${said.until}`
    }
    looked().catch((thrown: unknown) => {
      if (!(thrown instanceof MetadataError)) this.#wrong ??= String(thrown)
    })
  }
}

/** Lets promises that are kept go on, and what is wanted in one turn of the loop go into one question. */
async function settled(): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    for (let turn = 0; turn < 40; turn += 1) await Promise.resolve()
  }
}

async function tried(options: RestWorldOptions, depth: number): Promise<string> {
  const orders = await everyOrder(() => RestWorld.make(options), { depth })
  t.comment(`${orders.states} states, ${orders.steps} steps`)
  return shownOrder(orders)
}

const right = 'no order goes wrong'
const both = ['cached', 'fresh'] as const
/** The first network is held. */
const held = ['ask first cached', 'read #2', 'answer #2']
const guestChanges = [
  'the port is given to B',
  'the port is deleted',
  'a port of C is made in its place',
] as const

t.test('whatever changes while networks are fetched', async (t) => {
  const options = { changes: guestChanges, freshness: both, cuts: 0 }
  t.equal(await tried({ ...options, asks: ['first'] }, 4), right)
  t.equal(await tried({ ...options, asks: ['first', 'second'], freshness: ['cached'] }, 4), right)
})

t.test('whatever is lost, and for however long', async (t) => {
  const changes = ['the port is given to B'] as const
  const options = { changes, asks: ['first'], freshness: both, begun: held } as const
  t.equal(await tried({ ...options, cuts: 1, waits: 2 }, 4), right)
  t.equal(await tried({ ...options, cuts: 0, losses: 1, waits: 2 }, 4), right)
})

t.test('whatever happens to the interfaces of a router', async (t) => {
  const changes = [
    'the router leaves the first network',
    'the router joins the second network',
  ] as const
  const options = { changes, asks: ['router'], freshness: both } as const
  t.equal(await tried({ ...options, cuts: 1, waits: 1 }, 4), right)
})
