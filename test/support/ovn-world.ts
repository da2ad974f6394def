/** A small cloud in OVN's southbound database that changes at random in every way that Neutron and northd have. */
import type { FakeRow, FakeTables } from './fake-ovsdb.ts'
import { ovsMap, rowUuid } from './ovn-rows.ts'
import type { SeededRandom } from './random.ts'
import { ip, mac, networkId, portId, routerId, uuid } from '../conformance/topology.ts'

type Rows = Readonly<Record<string, FakeRow>>

const networkNumbers = [1, 2, 3, 4, 5, 6]
const routerNumbers = [1, 2, 3]
const owners = [
  'network:router_interface',
  'network:router_interface_distributed',
  'network:ha_router_replicated_interface',
  'network:router_gateway',
]

/** Ids that requests may name. Of the last network and router there is never a row. */
export const worldNetworks = [...networkNumbers, 99].map(networkId)
export const worldRouters = [...routerNumbers, 99].map(routerId)
export const worldAddresses = ['10.0.0.1', '10.0.0.11', '10.0.0.12', '10.0.0.13'].map(ip)
export const worldMacs = [1, 2, 3, 4, 0x71, 0x72].map(mac)

/** Rows by UUID; each change makes another set of tables. */
export class OvnWorld {
  readonly #random: SeededRandom
  #datapaths: Rows = {}
  #ports: Rows = {}
  #count = 0

  constructor(random: SeededRandom) {
    this.#random = random
    for (const number of networkNumbers) this.#addDatapath('switch', networkId(number))
    for (const number of routerNumbers) this.#addDatapath('router', routerId(number))
    for (let step = 0; step < 40; step += 1) this.change()
  }

  get tables(): FakeTables {
    return { Datapath_Binding: this.#datapaths, Port_Binding: this.#ports }
  }

  /** One change, of whatever kind. */
  change(): void {
    const roll = this.#random.below(110)
    if (roll < 30) this.#addGuest()
    else if (roll < 50) this.#removePort()
    else if (roll < 60) this.#movePort()
    else if (roll < 72) this.#changePort()
    else if (roll < 86) this.#attach()
    else if (roll < 92) this.#detach()
    else if (roll < 96) this.#remakeDatapath()
    else if (roll < 98) this.#twinDatapath()
    else if (roll < 100) this.#renameDatapath()
    else this.#migrate()
  }

  #next(): number {
    this.#count += 1
    return this.#count
  }

  #addDatapath(kind: 'switch' | 'router', id: string): string {
    const row = rowUuid(`${id} ${this.#next()}`)
    const ids = { [`logical-${kind}`]: rowUuid(`nb ${id}`), name: `neutron-${id}` }
    this.#datapaths = { ...this.#datapaths, [row]: { external_ids: ovsMap(ids) } }
    return row
  }

  #anyDatapath(kind: 'switch' | 'router'): string | undefined {
    const all = Object.entries(this.#datapaths)
      .filter(([, { external_ids: ids }]) => JSON.stringify(ids).includes(`logical-${kind}`))
      .map(([row]) => row)
    return all.length === 0 ? undefined : this.#random.pick(all)
  }

  #guest(datapath: string, number: number): FakeRow {
    const address = this.#random.pick(worldAddresses.slice(1))
    const macAddress = this.#random.pick(worldMacs.slice(0, 4))
    return {
      logical_port: portId(0x1000 + number),
      type: this.#random.pick(['', '', '', 'localport', 'virtual', 'external']),
      mac: `${macAddress} ${address}`,
      datapath: ['uuid', datapath],
      external_ids: ovsMap({
        'neutron:cidrs': `${address}/24`,
        'neutron:device_id': uuid('d', this.#random.below(1_000_000)),
        'neutron:device_owner': 'compute:nova',
        'neutron:project_id': uuid('e', 1),
      }),
    }
  }

  #addGuest(): void {
    const datapath = this.#anyDatapath('switch')
    if (datapath === undefined || Object.keys(this.#ports).length > 60) return
    const number = this.#next()
    this.#ports = { ...this.#ports, [rowUuid(`port ${number}`)]: this.#guest(datapath, number) }
  }

  #anyPort(): [string, FakeRow] | undefined {
    const all = Object.entries(this.#ports)
    return all.length === 0 ? undefined : this.#random.pick(all)
  }

  #removePort(): void {
    const [row] = this.#anyPort() ?? []
    if (row !== undefined) this.#ports = without(this.#ports, [row])
  }

  /** To whatever network, served or not; a router's side too, as northd never would. */
  #movePort(): void {
    const [row, port] = this.#anyPort() ?? []
    const datapath = this.#anyDatapath('switch')
    if (row === undefined || datapath === undefined) return
    this.#ports = { ...this.#ports, [row]: { ...port, datapath: ['uuid', datapath] } }
  }

  #changePort(): void {
    const [row, port] = this.#anyPort() ?? []
    if (row === undefined || port?.['type'] === 'patch') return
    const { external_ids: ids, mac: macs } = this.#guest('', 0)
    this.#ports = { ...this.#ports, [row]: { ...port, external_ids: ids, mac: macs } }
  }

  /**
   * One step of a live migration: bound to two hosts, then to the other one, by whatever order of Neutron and ovn-controller. A
   * driver that cannot bind a port twice makes its row again.
   */
  #migrate(): void {
    const [row, port] = this.#anyPort() ?? []
    if (row === undefined || port === undefined || port['type'] === 'patch') return
    const hosts = ['host-a', 'host-b', 'host-c'] as const
    const [from, to] = [this.#random.pick(hosts), this.#random.pick(hosts)]
    const ids = new Map(mapPairs(port['external_ids']))
    ids.set('neutron:host_id', this.#random.pick([from, to]))
    ids.set('neutron:revision_number', String(this.#next()))
    const migrated = {
      ...port,
      options: ovsMap({ 'requested-chassis': `${from},${to}`, 'activation-strategy': 'rarp' }),
      chassis: ['uuid', rowUuid(this.#random.pick([from, to]))],
      additional_chassis: this.#random.pick([
        ['set', []],
        ['uuid', rowUuid(to)],
      ]),
      requested_chassis: ['uuid', rowUuid(from)],
      up: this.#random.chance(50),
      external_ids: ovsMap(Object.fromEntries(ids)),
    }
    const place = this.#random.chance(20) ? rowUuid(`remade ${this.#next()}`) : row
    this.#ports = { ...without(this.#ports, [row]), [place]: migrated }
  }

  #attach(): void {
    const network = this.#anyDatapath('switch')
    const router = this.#anyDatapath('router')
    if (network === undefined || router === undefined) return
    const name = portId(0x8000 + this.#next())
    const id = JSON.stringify(this.#datapaths[router]).match(/neutron-([0-9a-f-]{36})/)?.[1] ?? ''
    const type = this.#random.pick(['patch', 'patch', 'l3gateway'])
    const inside = ovsMap({
      'neutron:cidrs': '10.0.0.1/24',
      'neutron:device_id': id,
      'neutron:device_owner': this.#random.pick(owners),
      'neutron:project_id': uuid('e', 1),
    })
    const macAddress = this.#random.pick(worldMacs.slice(4))
    const routerSide = { mac: `${macAddress} 10.0.0.1/24`, datapath: ['uuid', router] }
    const redirect = { logical_port: `cr-lrp-${name}`, type: 'chassisredirect', ...routerSide }
    this.#ports = {
      ...this.#ports,
      // Of a distributed or highly available router: where its packets leave for outside.
      ...(this.#random.chance(30) && {
        [rowUuid(`cr-lrp ${name}`)]: { ...redirect, external_ids: ovsMap({}) },
      }),
      [rowUuid(name)]: {
        logical_port: name,
        type,
        mac: 'router',
        datapath: ['uuid', network],
        external_ids: inside,
      },
      [rowUuid(`lrp ${name}`)]: {
        logical_port: `lrp-${name}`,
        type,
        ...routerSide,
        external_ids: ovsMap({}),
      },
    }
  }

  #detach(): void {
    const all = Object.entries(this.#ports).filter(([, { type }]) => type === 'patch')
    if (all.length === 0) return
    const [, { logical_port: name }] = this.#random.pick(all)
    const port = String(name).replace(/^lrp-/, '')
    const rows = [port, `lrp ${port}`, `cr-lrp ${port}`].map(rowUuid)
    this.#ports = without(this.#ports, rows)
  }

  /** Deleted and made again, with or without its ports. */
  #remakeDatapath(): void {
    const kind = this.#random.pick(['switch', 'router'] as const)
    const id =
      kind === 'switch'
        ? networkId(this.#random.pick(networkNumbers))
        : routerId(this.#random.pick(routerNumbers))
    const old = Object.keys(this.#datapaths).filter((row) =>
      JSON.stringify(this.#datapaths[row]).includes(`neutron-${id}`),
    )
    this.#datapaths = without(this.#datapaths, old)
    const row = this.#addDatapath(kind, id)
    const isKept = this.#random.chance(50)
    const ports = Object.entries(this.#ports).flatMap(([uuid, port]): [string, FakeRow][] => {
      if (!old.some((one) => JSON.stringify(port['datapath']).includes(one))) return [[uuid, port]]
      return isKept ? [[uuid, { ...port, datapath: ['uuid', row] }]] : []
    })
    this.#ports = Object.fromEntries(ports)
  }

  /** A second datapath of the same name, as while Neutron repairs its rows. */
  #twinDatapath(): void {
    if (Object.keys(this.#datapaths).length > 14) return
    this.#addDatapath('switch', networkId(this.#random.pick(networkNumbers)))
  }

  #renameDatapath(): void {
    const row = this.#anyDatapath('switch')
    if (row === undefined) return
    const id = networkId(this.#random.pick(networkNumbers))
    const ids = ovsMap({ 'logical-switch': rowUuid(`nb ${id}`), name: `neutron-${id}` })
    this.#datapaths = { ...this.#datapaths, [row]: { external_ids: ids } }
  }
}

function mapPairs(map: unknown): readonly (readonly [string, string])[] {
  const [, pairs = []] = map as [string, [string, string][]?]
  return pairs
}

function without(rows: Rows, gone: readonly string[]): Rows {
  return Object.fromEntries(Object.entries(rows).filter(([row]) => !gone.includes(row)))
}
