/**
 * Which rows of the southbound database concern what this host serves? As ovn-controller does, from one datapath to the next:
 * the rows that are in the copy name those that are still missing.
 */
import {
  parseNetworkId,
  parseRouterId,
  type NetworkId,
  type RouterId,
} from '../../../lib/identity/ids.ts'
import type { ScopeText } from '../../../lib/identity/scope.ts'
import type { Conditions } from '../../../lib/ovsdb/row-selection.ts'
import { peerOf } from './joints.ts'
import { routerOf } from './port-index.ts'
import { datapathName, type SouthboundCopy } from './southbound-copy.ts'

/** A condition in one text, to be compared: what kind it is, and its value. */
export type Clause = `${'name' | 'uuid' | 'datapath' | 'port'} ${string}`

type Selected = readonly [table: 'Datapath_Binding' | 'Port_Binding', condition: unknown]

const conditionOf: Readonly<Record<string, (value: string) => Selected>> = {
  name: (name) => ['Datapath_Binding', ['external_ids', 'includes', ['map', [['name', name]]]]],
  uuid: (uuid) => ['Datapath_Binding', ['_uuid', '==', ['uuid', uuid]]],
  datapath: (uuid) => ['Port_Binding', ['datapath', '==', ['uuid', uuid]]],
  port: (name) => ['Port_Binding', ['logical_port', '==', name]],
}

/** What else is an id cannot be the UUID of a row, and a server refuses the condition. */
const uuidText = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** @throws TypeError for a text that is none */
export function conditionOfClause(clause: Clause): Selected {
  const space = clause.indexOf(' ')
  const made = conditionOf[clause.slice(0, space)]?.(clause.slice(space + 1))
  if (made === undefined) throw new TypeError(`No condition: ${clause}`)
  return made
}

/** What selects the datapaths of a network, by either of its names. */
export function namingClauses(networkId: NetworkId): readonly Clause[] {
  const byName: Clause = `name ${datapathName(networkId)}`
  return uuidText.test(networkId) ? [byName, `uuid ${networkId}`] : [byName]
}

/** Networks and routers. */
export interface Places {
  readonly networks: ReadonlySet<NetworkId>
  readonly routers: ReadonlySet<RouterId>
}

/** What is needed, and what each network and router needs of it, as far as the rows in the copy show. */
export class ServedRows {
  readonly clauses: ReadonlySet<Clause>
  readonly #networks = new Map<NetworkId, ReadonlySet<Clause>>()
  readonly #routers = new Map<RouterId, ReadonlySet<Clause>>()
  readonly #copy: SouthboundCopy

  constructor(scopes: Iterable<ScopeText>, copy: SouthboundCopy) {
    this.#copy = copy
    const needed = new Set<Clause>()
    for (const scope of scopes) {
      const [kind, id] = scope.split('/')
      const networkId = kind === 'network' ? parseNetworkId(id) : undefined
      const routerId = kind === 'router' ? parseRouterId(id) : undefined
      if (networkId !== undefined) addAll(needed, this.#ofNetwork(networkId))
      if (routerId !== undefined) addAll(needed, this.#ofRouter(routerId))
    }
    this.clauses = needed
  }

  /** The networks and routers that have all their rows in a copy that each of these sets selects. */
  within(selected: readonly ReadonlySet<Clause>[]): Places {
    const complete = <Id>(of: ReadonlyMap<Id, ReadonlySet<Clause>>): Set<Id> =>
      new Set([...of].filter(([, needed]) => isWithin(needed, selected)).map(([id]) => id))
    return { networks: complete(this.#networks), routers: complete(this.#routers) }
  }

  /** Its datapaths by either of its names, their ports, and the routers' sides of interfaces there, which have the MACs. */
  #ofNetwork(networkId: NetworkId): ReadonlySet<Clause> {
    const known = this.#networks.get(networkId)
    if (known !== undefined) return known
    const clauses = new Set<Clause>(namingClauses(networkId))
    for (const datapath of this.#copy.datapathsNamed(networkId)) {
      clauses.add(`datapath ${datapath}`)
      for (const { logicalPort } of this.#copy.joints?.attachmentsOn(datapath) ?? []) {
        clauses.add(`port ${peerOf(logicalPort)}`)
      }
    }
    this.#networks.set(networkId, clauses)
    return clauses
  }

  /** Its datapath, the switches' side of what is joined to it, and the networks of its interfaces. */
  #ofRouter(routerId: RouterId): ReadonlySet<Clause> {
    const clauses = new Set<Clause>([`name ${datapathName(routerId)}`])
    for (const datapath of this.#copy.datapathsOfRouter(routerId)) {
      clauses.add(`datapath ${datapath}`)
      for (const { logicalPort } of this.#copy.joints?.routerSidesOn(datapath) ?? []) {
        const peer = peerOf(logicalPort)
        clauses.add(`port ${peer}`)
        const attachment = this.#copy.joints?.attachmentNamed(peer)
        if (attachment === undefined || routerOf(attachment) !== routerId) continue
        clauses.add(`uuid ${attachment.datapath}`)
        const networkId = this.#copy.networkOn(attachment.datapath)
        if (networkId !== undefined) addAll(clauses, this.#ofNetwork(networkId))
      }
    }
    this.#routers.set(routerId, clauses)
    return clauses
  }
}

function addAll<Item>(into: Set<Item>, items: ReadonlySet<Item>): void {
  for (const item of items) into.add(item)
}

function isWithin(needed: ReadonlySet<Clause>, selected: readonly ReadonlySet<Clause>[]): boolean {
  for (const clause of needed) if (!selected.every((set) => set.has(clause))) return false
  return true
}

/** The conditions that select what any of the clauses is about. */
export function conditionsOf(clauses: ReadonlySet<Clause>): Conditions {
  const conditions: Record<string, unknown[]> = { Datapath_Binding: [], Port_Binding: [] }
  for (const clause of [...clauses].toSorted()) {
    const [table, condition] = conditionOfClause(clause)
    conditions[table]?.push(condition)
  }
  // An empty list would select everything.
  return Object.fromEntries(
    Object.entries(conditions).map(([table, where]) => [table, where.length > 0 ? where : [false]]),
  )
}
