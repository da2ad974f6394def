import type {
  InstanceId,
  NetworkId,
  PortId,
  ProjectId,
  RouterId,
} from '../../../lib/identity/ids.ts'
import { parseInstanceId, parsePortId, parseProjectId } from '../../../lib/identity/ids.ts'
import { schemaProblems, z } from '../../../lib/files/schema.ts'
import {
  routerInterfaceOwners,
  type Port,
  type RouterInterface,
} from '../directory/port-directory.ts'
import {
  computeSchema,
  instanceSchema,
  type ComputeEntry,
  type InstanceEntry,
} from './instance-schema.ts'
import type { Problems } from './problems.ts'
import { derivedId, References } from './references.ts'
import {
  networkSchema,
  portSchema,
  projectSchema,
  routerSchema,
  type NetworkEntry,
  type PortEntry,
  type Subnet,
} from './schema.ts'

type Keys = readonly (string | number)[]

/** A network of the file with what the development API serves about it. */
export interface StaticNetwork {
  readonly networkId: NetworkId
  readonly projectId?: ProjectId
  readonly name?: string
  readonly mtu: number
  readonly subnets: readonly Subnet[]
}

/** An instance of the file, its references followed. */
export interface StaticInstance {
  readonly instanceId: InstanceId
  readonly projectId: ProjectId
  /** From 1, by the order in the file. */
  readonly position: number
  readonly entry: InstanceEntry
}

/** A whole file, its references followed and its defaults filled in. Plain data, which goes from thread to thread. */
export interface StaticTopology {
  readonly networks: ReadonlyMap<NetworkId, StaticNetwork>
  /** The interfaces of each router: its ports, and without a port the networks that are only named. */
  readonly routers: ReadonlyMap<RouterId, readonly RouterInterface[]>
  readonly ports: readonly Port[]
  readonly instances: ReadonlyMap<InstanceId, StaticInstance>
  readonly compute: ComputeEntry
}

const listSchema = z.array(z.unknown()).nullish()
const documentSchema = z.looseObject({
  projects: listSchema,
  networks: listSchema,
  routers: listSchema,
  ports: listSchema,
  instances: listSchema,
  compute: z.unknown().optional(),
})

/** An entry that fits its schema, and where it stands. */
interface Placed<Entry> {
  readonly entry: Entry
  readonly keys: Keys
}

/** Builds a {@link StaticTopology} from a parsed file, collecting problems as it goes. */
class TopologyBuilder {
  readonly #problems: Problems
  readonly #projects: References<ProjectId>
  readonly #networkNames: References<NetworkId>
  readonly #routerNames: References<RouterId>
  readonly #instanceNames: References<InstanceId>
  readonly #portIds: References<PortId>
  readonly #networks = new Map<NetworkId, StaticNetwork>()
  readonly #routers = new Map<RouterId, RouterInterface[]>()
  readonly #instances = new Map<InstanceId, StaticInstance>()
  readonly #ports: Port[] = []
  #onlyProject: ProjectId | undefined

  constructor(problems: Problems) {
    this.#problems = problems
    this.#projects = new References('project', problems)
    this.#networkNames = new References('network', problems)
    this.#routerNames = new References('router', problems)
    this.#instanceNames = new References('instance', problems)
    this.#portIds = new References('port', problems)
  }

  build(document: unknown): StaticTopology {
    if (document === null || document === undefined) {
      // An editor that writes in place empties the file first; no ports at all would be written as `ports: []`.
      this.#problems.add([], 'the file is empty')
    }
    const sections: Partial<z.output<typeof documentSchema>> =
      this.#parse(documentSchema, document ?? {}, []) ?? {}
    for (const key of Object.keys(sections)) {
      if (!Object.hasOwn(documentSchema.shape, key)) this.#problems.add([key], 'unknown key')
    }
    const projects = this.#parseAll(projectSchema, sections.projects, 'projects')
    for (const { entry, keys } of projects) this.#projects.declare(entry.id, entry.name, keys)
    this.#onlyProject = projects.length === 1 ? projects[0]?.entry.id : undefined
    for (const placed of this.#parseAll(networkSchema, sections.networks, 'networks')) {
      this.#addNetwork(placed)
    }
    for (const { entry, keys } of this.#parseAll(routerSchema, sections.routers, 'routers')) {
      this.#routerNames.declare(entry.id, entry.name, keys)
      this.#projectOf(entry.project, [...keys, 'project'])
      const networkIds = entry.networks.map((name, index) =>
        this.#networkNames.require(name, [...keys, 'networks', index]),
      )
      const named = new Set(networkIds.filter((id) => id !== undefined))
      this.#routers.set(
        entry.id,
        [...named].map((networkId) => ({ networkId })),
      )
    }
    const instances = this.#parseAll(instanceSchema, sections.instances, 'instances')
    for (const [index, placed] of instances.entries()) this.#addInstance(placed, index + 1)
    for (const placed of this.#parseAll(portSchema, sections.ports, 'ports')) this.#addPort(placed)
    const compute = this.#parse(computeSchema, sections.compute ?? {}, ['compute'])
    this.#problems.throwIfAny()
    return {
      networks: this.#networks,
      routers: this.#routers,
      ports: this.#ports,
      instances: this.#instances,
      compute: compute ?? computeSchema.parse({}),
    }
  }

  #parse<Schema extends z.ZodType>(
    schema: Schema,
    value: unknown,
    keys: Keys,
  ): z.output<Schema> | undefined {
    const outcome = schema.safeParse(value)
    if (outcome.success) return outcome.data
    for (const problem of schemaProblems(outcome.error)) {
      this.#problems.add([...keys, ...problem.keys], problem.message)
    }
    return undefined
  }

  #parseAll<Schema extends z.ZodType>(
    schema: Schema,
    entries: readonly unknown[] | null | undefined,
    section: string,
  ): readonly Placed<z.output<Schema>>[] {
    return (entries ?? []).flatMap((value, index) => {
      const entry = this.#parse(schema, value, [section, index])
      return entry === undefined ? [] : [{ entry, keys: [section, index] }]
    })
  }

  /** Where projects are declared, one of those must be meant; otherwise the text is the id. */
  #projectOf(reference: string | undefined, keys: Keys): ProjectId | undefined {
    if (reference === undefined) return undefined
    if (this.#projects.size > 0) return this.#projects.require(reference, keys)
    const projectId = parseProjectId(reference)
    if (projectId === undefined) this.#problems.add(keys, `"${reference}" cannot be a project id`)
    return projectId
  }

  #addNetwork({ entry, keys }: Placed<NetworkEntry>): void {
    this.#networkNames.declare(entry.id, entry.name, keys)
    const projectId = this.#projectOf(entry.project, [...keys, 'project'])
    this.#networks.set(entry.id, {
      networkId: entry.id,
      ...(projectId !== undefined && { projectId }),
      ...(entry.name !== undefined && { name: entry.name }),
      mtu: entry.mtu,
      subnets: entry.subnets,
    })
  }

  #addInstance({ entry, keys }: Placed<InstanceEntry>, position: number): void {
    const [firstPort] = entry.ports
    const firstNetwork = firstPort && this.#networkNames.find(firstPort.network, keys)
    const projectId =
      this.#projectOf(entry.project, [...keys, 'project']) ??
      (firstNetwork && this.#networks.get(firstNetwork)?.projectId) ??
      this.#onlyProject
    if (projectId === undefined) {
      if (entry.project === undefined) {
        this.#problems.addReference(keys, 'expected a project, here or on the network')
      }
      return
    }
    const instanceId =
      entry.id ?? parseInstanceId(derivedId('instance', projectId, entry.name ?? ''))
    if (instanceId === undefined) return
    if (!this.#instanceNames.declare(instanceId, entry.name, keys)) return
    this.#instances.set(instanceId, { instanceId, projectId, position, entry })
    for (const [index, port] of entry.ports.entries()) {
      this.#addPort({ entry: { ...port, instance: instanceId }, keys: [...keys, 'ports', index] })
    }
  }

  #addPort({ entry, keys }: Placed<PortEntry>): void {
    const networkId = this.#networkNames.require(entry.network, [...keys, 'network'])
    if (networkId === undefined) return
    const portId = entry.id ?? parsePortId(derivedId('port', networkId, entry.mac))
    if (portId === undefined) return
    this.#portIds.declare(portId, undefined, keys)
    const instanceId = this.#instanceOf(entry, keys)
    const deviceOwner = this.#joinRouter(entry, { networkId, portId }, keys)
    const projectId =
      this.#projectOf(entry.project, [...keys, 'project']) ??
      (instanceId && this.#instances.get(instanceId)?.projectId) ??
      this.#networks.get(networkId)?.projectId ??
      this.#onlyProject
    if (instanceId !== undefined && projectId === undefined && entry.project === undefined) {
      this.#problems.add(keys, 'expected a project, since the port belongs to an instance')
    }
    const owner =
      deviceOwner ?? entry.device_owner ?? (instanceId === undefined ? undefined : 'compute:nova')
    this.#ports.push({
      portId,
      networkId,
      macAddress: entry.mac,
      fixedIps: [...new Set(entry.fixed_ips)],
      ...(instanceId !== undefined && { instanceId }),
      ...(projectId !== undefined && { projectId }),
      ...(owner !== undefined && { deviceOwner: owner }),
      ...(entry.name !== undefined && { name: entry.name }),
    })
  }

  #instanceOf(entry: PortEntry, keys: Keys): InstanceId | undefined {
    if (entry.instance === undefined) return undefined
    const at = [...keys, 'instance']
    if (entry.router !== undefined) {
      this.#problems.add(at, 'a port belongs to an instance or to a router, not to both')
    }
    // Without `instances` the file only maps ports to the servers of a real compute service.
    const instanceId =
      this.#instanceNames.find(entry.instance, at) ?? parseInstanceId(entry.instance)
    if (instanceId === undefined) {
      this.#problems.add(at, `"${entry.instance}" cannot be an instance id`)
    }
    return instanceId
  }

  /** A router's own port is one of its interfaces, if the owner is one of an interface. It holds more than its network's name alone. */
  #joinRouter(entry: PortEntry, own: RouterInterface, keys: Keys): string | undefined {
    if (entry.router === undefined) return undefined
    const routerId = this.#routerNames.require(entry.router, [...keys, 'router'])
    const deviceOwner = entry.device_owner ?? 'network:router_interface'
    if (routerId !== undefined && routerInterfaceOwners.has(deviceOwner)) {
      const others = (this.#routers.get(routerId) ?? []).filter(
        ({ networkId, portId }) => portId !== undefined || networkId !== own.networkId,
      )
      this.#routers.set(routerId, [...others, own])
    }
    return deviceOwner
  }
}

/** Reads a parsed file. @throws {StaticFileError} naming every problem, never only the first */
export function buildTopology(document: unknown, problems: Problems): StaticTopology {
  return new TopologyBuilder(problems).build(document)
}
