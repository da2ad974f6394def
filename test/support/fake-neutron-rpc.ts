import { connect, type Channel, type ChannelModel, type ConsumeMessage } from 'amqplib'
import {
  decodeMessage,
  encodeRequest,
  type OsloMessage,
} from '../../agent-side/ports/neutron-rpc/bus/oslo-envelope.ts'
import type { JsonObject } from '../../agent-side/ports/directory/neutron-port.ts'
import { encodeReply } from './oslo-reply.ts'
import type { Topology, TopologyPort } from '../conformance/topology.ts'

/** A port as Neutron's API writes it. */
export type PortRow = JsonObject & { readonly id: string }

export interface FakeNeutronOptions {
  readonly tcpPort: number
  readonly username: string
  readonly password: string
  /** Version of its `Port` objects. */
  readonly version?: string
  /** False for a plugin without versioned objects. */
  readonly hasObjects?: boolean
  /** False to serve no topic: no queue is there. */
  readonly serves?: boolean
}

export interface Heard {
  readonly method: string
  readonly args: JsonObject
  readonly isCall: boolean
}

const exchange = 'neutron'
const topics = ['q-plugin', 'q-reports-plugin']

function listOf(filters: JsonObject, name: string): readonly unknown[] | undefined {
  const value = filters[name]
  return Array.isArray(value) ? (value as readonly unknown[]) : undefined
}

function addressesOf(row: PortRow): readonly unknown[] {
  const fixedIps = (row['fixed_ips'] ?? []) as readonly { readonly ip_address: string }[]
  return fixedIps.map((fixedIp) => fixedIp.ip_address)
}

function matches(row: PortRow, filters: JsonObject): boolean {
  const plain = ['id', 'device_id', 'device_owner', 'network_id', 'mac_address'].every(
    (field) => listOf(filters, field)?.includes(row[field]) ?? true,
  )
  const fixedIps = filters['fixed_ips'] as JsonObject | undefined
  const addresses = fixedIps && listOf(fixedIps, 'ip_address')
  return plain && (addresses?.some((address) => addressesOf(row).includes(address)) ?? true)
}

function versionedObject(name: string, version: string, data: JsonObject): JsonObject {
  return {
    'versioned_object.name': name,
    'versioned_object.namespace': 'versionedobjects',
    'versioned_object.version': version,
    'versioned_object.data': data,
  }
}

function anotherId(id: string): string {
  return `${id.slice(0, -12)}${(Number.parseInt(id.slice(-12), 16) + 0x100_0000).toString(16).padStart(12, '0')}`
}

/** The ports of a topology, a router's own ones included, as the API writes them. */
export function portRows(topology: Topology): readonly PortRow[] {
  const row = (port: TopologyPort, deviceId: string): PortRow => ({
    id: port.portId,
    network_id: port.networkId,
    mac_address: port.macAddress,
    fixed_ips: port.fixedIps.map((ip_address) => ({ subnet_id: 's', ip_address })),
    device_id: deviceId,
    device_owner: port.deviceOwner,
    project_id: port.projectId,
    name: '',
    status: 'ACTIVE',
    revision_number: 1,
  })
  return [
    ...topology.ports.map((port) => row(port, port.instanceId ?? '')),
    ...topology.routers.flatMap((router) =>
      router.ports.map((port) => row({ ...port, projectId: router.projectId }, router.routerId)),
    ),
  ]
}

/** Answers `get_ports`, `bulk_pull` and `report_state` over a real broker as neutron-server with ML2 does, and pushes. */
export class FakeNeutronRpc {
  readonly #options: FakeNeutronOptions
  readonly #rows = new Map<string, PortRow>()
  readonly #gone = new Set<string>()
  readonly #renamed = new Map<string, string>()
  readonly heard: Heard[] = []
  /** Called for each request; what it returns is answered instead, `undefined` answers as usual. */
  override: ((request: Heard) => Promise<JsonObject> | JsonObject | undefined) | undefined
  #model: ChannelModel | undefined
  #channel: Channel | undefined
  readonly #heardWaiters = new Set<() => void>()

  constructor(options: FakeNeutronOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { tcpPort, username, password, serves = true } = this.#options
    this.#model = await connect(`amqp://${username}:${password}@127.0.0.1:${tcpPort}/%2F`)
    this.#model.on('error', () => undefined)
    this.#channel = await this.#model.createChannel()
    await this.#channel.assertExchange(exchange, 'topic', { durable: false })
    if (!serves) return
    for (const topic of topics) {
      await this.#channel.assertQueue(topic, { durable: false })
      await this.#channel.bindQueue(topic, exchange, topic)
      await this.#channel.purgeQueue(topic)
      await this.#channel.consume(topic, (message) => this.#take(message), { noAck: true })
    }
    await this.#keepFanout(this.#channel)
  }

  async close(): Promise<void> {
    if (this.#options.serves !== false) {
      for (const topic of topics) await this.#channel?.deleteQueue(topic)
    }
    await this.#model?.close()
    this.#model = undefined
  }

  get questions(): number {
    return this.heard.filter(({ method }) => method === 'get_ports').length
  }

  /** Resolves with the first request heard, from now or before, that fits. */
  async request(fits: (heard: Heard) => boolean): Promise<Heard> {
    for (;;) {
      const found = this.heard.find(fits)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => void this.#heardWaiters.add(resolve))
    }
  }

  /** What the database holds from now on, telling nobody. */
  setRows(rows: readonly PortRow[]): void {
    this.#rows.clear()
    for (const row of rows) this.#rows.set(row.id, row)
  }

  /**
   * Changes the database and pushes each difference, deletions first. What is made once more after it was deleted gets
   * another id: Neutron gives none out twice.
   */
  setTopology(topology: Topology): void {
    const before = new Map(this.#rows)
    const after = portRows(topology).map((named) => {
      const id = this.#renamed.get(named.id) ?? named.id
      const row = { ...named, id: this.#gone.has(id) ? anotherId(id) : id }
      if (row.id !== named.id) this.#renamed.set(named.id, row.id)
      const old = before.get(row.id)
      const revision = Number(old?.['revision_number'] ?? 0)
      const isSame = old && JSON.stringify({ ...old, revision_number: 1 }) === JSON.stringify(row)
      return isSame ? old : { ...row, revision_number: revision + 1 }
    })
    this.setRows(after)
    for (const id of before.keys()) {
      if (this.#rows.has(id)) continue
      this.#gone.add(id)
      this.pushDeleted(id)
    }
    for (const row of after) if (before.get(row.id) !== row) this.pushUpdated(row)
  }

  pushUpdated(row: PortRow): void {
    this.push({ resource_list: [this.#object(row)], event_type: 'updated' })
  }

  pushDeleted(id: string): void {
    const gone = versionedObject('Port', this.#version, { id, security_group_ids: null })
    this.push({ resource_list: [gone], event_type: 'deleted' })
  }

  push(args: JsonObject): void {
    const content = encodeRequest({ method: 'push', args, version: '1.1' }, new Date(0))
    this.#channel?.publish(this.#fanout, '', content, { contentType: 'application/json' })
  }

  /** Sends an answer to nobody's question. */
  sendTo(queue: string, content: Buffer): void {
    this.#channel?.sendToQueue(queue, content)
  }

  /**
   * Another agent of the cloud that listens too and keeps nothing. Without it the exchange would be missing before the first of ours
   * and go with the last, and a push into a missing exchange closes the channel that all answers take.
   */
  async #keepFanout(channel: Channel): Promise<void> {
    await channel.assertExchange(this.#fanout, 'fanout', { durable: false, autoDelete: true })
    const { queue } = await channel.assertQueue('', { exclusive: true, maxLength: 0 })
    await channel.bindQueue(queue, this.#fanout, '')
  }

  get #fanout(): string {
    return `neutron-vo-Port-${this.#version}_fanout`
  }

  get #version(): string {
    return this.#options.version ?? '1.7'
  }

  #object(row: PortRow): JsonObject {
    const fixedIps = (row['fixed_ips'] as readonly JsonObject[]).map((fixedIp) =>
      versionedObject('IPAllocation', '1.0', { ...fixedIp, port_id: row.id }),
    )
    return versionedObject('Port', this.#version, { ...row, fixed_ips: fixedIps })
  }

  #take(message: ConsumeMessage | null): void {
    if (message === null) return
    const request = decodeMessage(message.content)
    if (request.kind === 'request') void this.#serve(request)
  }

  async #serve(request: OsloMessage & { readonly kind: 'request' }): Promise<void> {
    const { method, args, messageId, replyQueue } = request
    const heard = { method, args, isCall: messageId !== undefined }
    this.heard.push(heard)
    for (const waiter of this.#heardWaiters) waiter()
    this.#heardWaiters.clear()
    const outcome = (await this.override?.(heard)) ?? this.#answer(heard)
    if (messageId === undefined || replyQueue === undefined) return
    this.#channel?.sendToQueue(replyQueue, encodeReply(messageId, outcome))
  }

  #answer({ method, args }: Heard): JsonObject {
    const rows = [...this.#rows.values()]
    if (method === 'get_ports') {
      return { result: rows.filter((row) => matches(row, args['filters'] as JsonObject)) }
    }
    if (method === 'report_state') return { result: 'new' }
    if (method === 'bulk_pull' && this.#options.hasObjects !== false) {
      const wanted = rows.filter((row) => matches(row, args['filter_kwargs'] as JsonObject))
      return { result: wanted.map((row) => this.#object(row)) }
    }
    return { failure: { class: 'NoSuchMethod', message: `no ${method}`, module: 'dispatcher' } }
  }
}
