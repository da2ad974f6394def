import type { Clock, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { NetworkId, PortId, RouterId } from '../../lib/identity/ids.ts'
import type {
  QueryOptions,
  DirectoryChange,
  Freshness,
  InterfacesAnswer,
  Port,
  PortDirectory,
  PortQuery,
  PortsAnswer,
  Readiness,
  RouterInterface,
} from '../../agent-side/ports/directory/port-directory.ts'

/** What a source of ports holds at one moment. */
interface Contents {
  readonly interfacesOf: ReadonlyMap<RouterId, readonly RouterInterface[]>
  readonly ports: ReadonlyMap<PortId, Port>
  readonly asOf: MonotonicMilliseconds
}

interface Question {
  readonly question: 'networks' | 'ports'
  readonly freshness: Freshness
}

/**
 * A port directory whose source the test is. Fresh questions read the source as it is when they are asked; cached ones read
 * what was last {@link ScriptedDirectory.remember remembered}. Changes are told only when the test tells them.
 */
export class ScriptedDirectory implements PortDirectory {
  readonly kind = 'scripted'
  readonly asked: Question[] = []
  #source: Contents
  #remembered: Contents
  #failure: Error | undefined
  #held: Promise<void> | undefined
  readonly #clock: Clock
  readonly #answersAtOnce: boolean
  readonly #listeners = new Set<(change: DirectoryChange) => void>()
  state: Readiness = { ready: true, detail: 'Scripted by a test' }

  constructor(clock: Clock, options: { readonly answersAtOnce?: boolean } = {}) {
    this.#clock = clock
    this.#answersAtOnce = options.answersAtOnce ?? false
    this.#source = { interfacesOf: new Map(), ports: new Map(), asOf: clock.now() }
    this.#remembered = this.#source
  }

  // What tests do.

  /** The router has interfaces on these networks; the source does not say by which ports. */
  setRouter(routerId: RouterId, networkIds: readonly NetworkId[]): void {
    this.setInterfaces(
      routerId,
      networkIds.map((networkId) => ({ networkId })),
    )
  }

  setInterfaces(routerId: RouterId, interfaces: readonly RouterInterface[]): void {
    const interfacesOf = new Map(this.#source.interfacesOf).set(routerId, interfaces)
    this.#source = { ...this.#source, interfacesOf }
  }

  setPorts(...ports: readonly Port[]): void {
    const all = new Map(this.#source.ports)
    for (const port of ports) all.set(port.portId, port)
    this.#source = { ...this.#source, ports: all }
  }

  deletePort(portId: PortId): void {
    const ports = new Map(this.#source.ports)
    ports.delete(portId)
    this.#source = { ...this.#source, ports }
  }

  /** Makes cached answers what the source holds now. */
  remember(): void {
    this.#remembered = { ...this.#source, asOf: this.#clock.now() }
  }

  tell(change: DirectoryChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  /** From now on every question fails like this, until called without an error. */
  failWith(error?: Error): void {
    this.#failure = error
  }

  /** Questions wait from now on. @returns the function that lets them have their answers */
  hold(): () => void {
    let release: (() => void) | undefined
    this.#held = new Promise((resolve) => {
      release = resolve
    })
    return () => {
      this.#held = undefined
      release?.()
    }
  }

  questions(question: Question['question'], freshness?: Freshness): number {
    return this.asked.filter(
      (one) =>
        one.question === question && (freshness === undefined || one.freshness === freshness),
    ).length
  }

  // What the resolver sees.

  start(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#listeners.clear()
    return Promise.resolve()
  }

  readiness(): Readiness {
    return this.state
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  interfacesOfRouter(
    routerId: RouterId,
    asked: QueryOptions,
  ): InterfacesAnswer | Promise<InterfacesAnswer> {
    return this.#answer('networks', asked, ({ interfacesOf, asOf }) => ({
      interfaces: interfacesOf.get(routerId) ?? [],
      asOf,
    }))
  }

  findPorts(query: PortQuery, asked: QueryOptions): PortsAnswer | Promise<PortsAnswer> {
    if (query.networkIds.length === 0) throw new TypeError('QueryOptions about no network')
    return this.#answer('ports', asked, ({ ports, asOf }) => ({
      ports: [...ports.values()].filter(
        (port) =>
          query.networkIds.includes(port.networkId) &&
          (port.macAddress === query.macAddress ||
            port.fixedIps.some((fixedIp) => fixedIp === query.fixedIp)),
      ),
      asOf,
    }))
  }

  allPorts(): Iterable<Port> {
    return this.#source.ports.values()
  }

  #answer<Answer>(
    question: Question['question'],
    asked: QueryOptions,
    read: (contents: Contents) => Answer,
  ): Answer | Promise<Answer> {
    this.asked.push({ question, freshness: asked.freshness })
    const contents =
      asked.freshness === 'fresh' ? { ...this.#source, asOf: this.#clock.now() } : this.#remembered
    if (this.#answersAtOnce) {
      if (this.#failure !== undefined) throw this.#failure
      return read(contents)
    }
    return this.#later(read(contents))
  }

  async #later<Answer>(answer: Answer): Promise<Answer> {
    await this.#held
    if (this.#failure !== undefined) throw this.#failure
    return answer
  }
}
