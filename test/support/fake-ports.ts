import type { Topology } from '../conformance/topology.ts'

/** A port as Neutron's API shows it. */
export interface PortRow {
  readonly id: string
  readonly network_id: string
  readonly mac_address: string
  readonly fixed_ips: readonly { readonly ip_address: string; readonly subnet_id: string }[]
  readonly device_id: string
  readonly device_owner: string
  readonly project_id: string
  readonly tenant_id: string
  readonly name: string
  readonly 'binding:host_id'?: string | undefined
}

const filterable = ['network_id', 'device_id', 'device_owner', 'mac_address', 'id'] as const

/** All ports of a topology as rows. */
export function portRows(topology: Topology): PortRow[] {
  const row = (
    port: Omit<Topology['ports'][number], 'instanceId' | 'projectId'>,
    deviceId: string,
    project: string,
  ): PortRow => ({
    id: port.portId,
    network_id: port.networkId,
    mac_address: port.macAddress,
    fixed_ips: port.fixedIps.map((address) => ({ ip_address: address, subnet_id: 'subnet' })),
    device_id: deviceId,
    device_owner: port.deviceOwner,
    project_id: project,
    tenant_id: project,
    name: `port-${port.portId.slice(-4)}`,
    'binding:host_id': 'host-1',
  })
  return [
    ...topology.routers.flatMap((router) =>
      router.ports.map((port) => row(port, router.routerId, router.projectId)),
    ),
    ...topology.ports.map((port) => row(port, port.instanceId ?? '', port.projectId)),
  ]
}

/** The collection `/v2.0/ports`: filters of one name are alternatives, of several names all must hold. */
export class FakePorts {
  readonly #pageSize: number
  rows: PortRow[] = []
  /** Of networks; those that are named here or have a port are all that there are. */
  tags: Readonly<Record<string, readonly string[]>> = {}
  /** A server that understands no filter of this name. */
  ignoredFilters: readonly string[] = []

  constructor(pageSize = 100_000) {
    this.#pageSize = pageSize
  }

  set(topology: Topology): void {
    this.rows = portRows(topology)
  }

  list(query: URLSearchParams, base: string): unknown {
    const matching = this.rows
      .filter((row) => this.#matches(row, query))
      .toSorted((one, other) => (one.id < other.id ? -1 : 1))
    const marker = query.get('marker')
    const from = marker === null ? 0 : matching.findIndex((row) => row.id === marker) + 1
    const asked = Number(query.get('limit') ?? this.#pageSize)
    const limit = Math.min(asked, this.#pageSize)
    const page = matching.slice(from, from + limit)
    const fields = query.getAll('fields')
    const last = page.at(-1)
    const next = new URLSearchParams(query)
    if (last !== undefined) next.set('marker', last.id)
    const isFull = page.length === limit && last !== undefined
    return {
      ports: page.map((row) =>
        fields.length === 0
          ? row
          : Object.fromEntries(Object.entries(row).filter(([name]) => fields.includes(name))),
      ),
      ...(isFull && {
        ports_links: [{ rel: 'next', href: `${base}/v2.0/ports?${next.toString()}` }],
      }),
    }
  }

  /** The collection `/v2.0/networks`, with its filter `id` alone. */
  listNetworks(query: URLSearchParams): unknown {
    const ids = new Set([...this.rows.map((row) => row.network_id), ...Object.keys(this.tags)])
    const wanted = query.getAll('id')
    const networks = [...ids].filter((id) => wanted.length === 0 || wanted.includes(id))
    return { networks: networks.map((id) => ({ id, tags: this.tags[id] ?? [] })) }
  }

  #matches(row: PortRow, query: URLSearchParams): boolean {
    const plain = filterable.every((name) => {
      const wanted = query.getAll(name)
      return wanted.length === 0 || this.ignoredFilters.includes(name) || wanted.includes(row[name])
    })
    const addresses = query
      .getAll('fixed_ips')
      .map((condition) => condition.replace(/^ip_address=/, ''))
    const hasAddress =
      addresses.length === 0 ||
      this.ignoredFilters.includes('fixed_ips') ||
      row.fixed_ips.some((fixedIp) => addresses.includes(fixedIp.ip_address))
    return plain && hasAddress
  }
}
