/** A cloud of two networks, a router and a handful of ports whose every history can be tried, and what may be said of it. */
import type { PortRow } from './fake-neutron-rpc.ts'
import type {
  Port,
  PortQuery,
  RouterInterface,
} from '../../agent-side/ports/directory/port-directory.ts'
import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
} from '../conformance/topology.ts'

export const firstNetwork = networkId(1)
export const secondNetwork = networkId(2)
export const onlyRouter = routerId(1)

/** What is asked of a network: one address and one MAC, which ports give on to each other. */
export const selectedFor = { fixedIp: ip('10.0.0.10'), macAddress: mac(10) }

export function queryOf(network: typeof firstNetwork): PortQuery {
  return { networkIds: [network], ...selectedFor }
}

function guestRow(number: number, owner: string, network = firstNetwork): PortRow {
  return {
    id: portId(number),
    network_id: network,
    mac_address: selectedFor.macAddress,
    fixed_ips: [{ subnet_id: 's', ip_address: selectedFor.fixedIp }],
    device_id: owner,
    device_owner: 'compute:nova',
    project_id: projectId(1),
  }
}

function interfaceRow(number: number, network: typeof firstNetwork): PortRow {
  return {
    id: portId(number),
    network_id: network,
    mac_address: mac(number),
    fixed_ips: [{ subnet_id: 's', ip_address: '10.0.0.1' }],
    device_id: onlyRouter,
    device_owner: 'network:router_interface',
    project_id: projectId(1),
  }
}

/** One thing that happens to one port, once. */
interface Change {
  readonly portId: string
  readonly row?: PortRow
  readonly after?: string
}

const changes = {
  'the port is given to B': { portId: portId(1), row: guestRow(1, instanceId(2)) },
  'the port is deleted': { portId: portId(1) },
  'a port of C is made in its place': {
    portId: portId(2),
    row: guestRow(2, instanceId(3)),
    after: 'the port is deleted',
  },
  'the router leaves the first network': { portId: portId(11) },
  'the router joins the second network': {
    portId: portId(12),
    row: interfaceRow(12, secondNetwork),
  },
} as const satisfies Record<string, Change>

export type ChangeName = keyof typeof changes
export const changeNames = Object.keys(changes) as readonly ChangeName[]

/** What happened to a port, in the order of the database. */
interface Commit {
  readonly name: string
  readonly portId: string
  readonly row: PortRow | undefined
}

/** Neutron's database with its whole history. */
export class SmallNeutron {
  readonly #commits: Commit[] = []
  readonly #possible: readonly ChangeName[]

  /** @param possible the changes that may happen here */
  constructor(possible: readonly ChangeName[] = changeNames) {
    this.#possible = possible
    const rows = [
      guestRow(1, instanceId(1)),
      guestRow(3, instanceId(4), secondNetwork),
      interfaceRow(11, firstNetwork),
    ]
    for (const row of rows) this.#append('at first', row.id, row)
  }

  /** How much has happened so far. */
  get length(): number {
    return this.#commits.length
  }

  /** Changes that can be committed now. */
  possible(): readonly ChangeName[] {
    return this.#possible.filter((name) => {
      const { portId, after, row }: Change = changes[name]
      if (this.#has(name) || (after !== undefined && !this.#has(after))) return false
      return (
        row === undefined ||
        after !== undefined ||
        this.#row(portId) !== undefined ||
        this.#isNew(portId)
      )
    })
  }

  /** @returns what is to be pushed: the row, or `undefined` for one that is gone */
  commit(name: ChangeName): { readonly portId: string; readonly row: PortRow | undefined } {
    const { portId, row }: Change = changes[name]
    return this.#append(name, portId, row)
  }

  /** Every port as it stands. */
  rows(): readonly PortRow[] {
    const ids = new Set(this.#commits.map((commit) => commit.portId))
    return [...ids].flatMap((id) => this.#row(id) ?? [])
  }

  /** What has happened, in order. */
  text(): string {
    return this.#commits.map(({ name }) => name).join(', ')
  }

  /**
   * @param known which commits whoever answers has to know, by their place in history
   * @returns what is wrong with the answer about one network
   */
  wrongPorts(
    network: typeof firstNetwork,
    ports: readonly Port[],
    known: ReadonlySet<number>,
  ): string | undefined {
    for (const id of new Set(this.#commits.map((commit) => commit.portId))) {
      const states = this.#statesSince(id, known).map((row) =>
        row?.['network_id'] === network && row['mac_address'] === selectedFor.macAddress
          ? row['device_id']
          : undefined,
      )
      const said = ports.find((port) => port.portId === id)?.instanceId
      if (!states.includes(said)) return `port ${id.slice(-2)} is said to be of ${said ?? 'nobody'}`
    }
    return undefined
  }

  /** The same for the interfaces of the router. */
  wrongNetworks(
    interfaces: readonly RouterInterface[],
    known: ReadonlySet<number>,
  ): string | undefined {
    for (const id of [portId(11), portId(12)]) {
      const states = this.#statesSince(id, known).map((row) => row !== undefined)
      const said = interfaces.some((one) => one.portId === id)
      if (!states.includes(said))
        return `port ${id.slice(-2)} is said ${said ? '' : 'not '}to be one`
    }
    return undefined
  }

  #statesSince(id: string, known: ReadonlySet<number>): readonly (PortRow | undefined)[] {
    const states: (PortRow | undefined)[] = []
    let isBefore = true
    for (const [place, commit] of [...this.#commits.entries()].toReversed()) {
      if (commit.portId !== id) continue
      if (isBefore) states.push(commit.row)
      if (known.has(place)) isBefore = false
    }
    if (isBefore) states.push(undefined)
    return states
  }

  #has(name: string): boolean {
    return this.#commits.some((commit) => commit.name === name)
  }

  #isNew(id: string): boolean {
    return this.#commits.every((commit) => commit.portId !== id)
  }

  #row(id: string): PortRow | undefined {
    return this.#commits.findLast((commit) => commit.portId === id)?.row
  }

  #append(name: string, id: string, row: PortRow | undefined): Commit {
    const revision = this.#commits.filter((commit) => commit.portId === id).length + 1
    const commit = { name, portId: id, row: row && { ...row, revision_number: revision } }
    this.#commits.push(commit)
    return commit
  }
}
