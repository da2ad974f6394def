import type { Clock, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { InstanceId } from '../../lib/identity/ids.ts'
import type { Port } from '../ports/directory/port-directory.ts'
import type { StaticTopology } from '../ports/static/topology.ts'
import { instanceMetadata, type InstanceMetadata } from './instance-metadata.ts'

interface Cached {
  readonly metadata: InstanceMetadata
  readonly until: MonotonicMilliseconds
}

/** The instances of the file, as stale as Nova's cache would leave them, and the passwords their guests have posted. */
export class InstanceStore {
  readonly #clock: Clock
  readonly #current: () => StaticTopology
  readonly #passwords = new Map<InstanceId, string>()
  readonly #cache = new Map<InstanceId, Cached>()
  #topology: StaticTopology | undefined
  #portsOf = new Map<InstanceId, Port[]>()

  constructor(clock: Clock, current: () => StaticTopology) {
    this.#clock = clock
    this.#current = current
  }

  /** @returns `undefined` for an instance the file does not have */
  find(instanceId: InstanceId): InstanceMetadata | undefined {
    const now = this.#clock.now()
    const cached = this.#cache.get(instanceId)
    if (cached !== undefined && now < cached.until) return cached.metadata
    this.#cache.delete(instanceId)
    const topology = this.#refreshed()
    const instance = topology.instances.get(instanceId)
    if (instance === undefined) return undefined
    const ports = this.#portsOf.get(instanceId) ?? []
    const password = this.#passwords.get(instanceId)
    const metadata = instanceMetadata(instance, topology, ports, password)
    const lifetime = topology.compute.cache_seconds * 1_000
    if (lifetime > 0) this.#cache.set(instanceId, { metadata, until: now + lifetime })
    return metadata
  }

  storePassword(instanceId: InstanceId, password: string): void {
    this.#passwords.set(instanceId, password)
  }

  /** Follows the file; what belongs to instances that are gone goes too. */
  #refreshed(): StaticTopology {
    const topology = this.#current()
    if (topology === this.#topology) return topology
    this.#topology = topology
    this.#portsOf = new Map()
    for (const port of topology.ports) {
      if (port.instanceId === undefined) continue
      const ports = this.#portsOf.get(port.instanceId)
      if (ports === undefined) this.#portsOf.set(port.instanceId, [port])
      else ports.push(port)
    }
    for (const instanceId of this.#passwords.keys()) {
      if (!topology.instances.has(instanceId)) this.#passwords.delete(instanceId)
    }
    for (const instanceId of this.#cache.keys()) {
      if (!topology.instances.has(instanceId)) this.#cache.delete(instanceId)
    }
    return topology
  }
}
