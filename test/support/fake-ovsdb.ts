import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair, type Duplex } from 'node:stream'
import {
  selectedRows,
  type FakeConditions,
  type FakeRow,
  type FakeTables,
} from './fake-ovsdb-conditions.ts'
import { differences, type FakeMonitor } from './fake-ovsdb-updates.ts'

export type { FakeRow, FakeTables } from './fake-ovsdb-conditions.ts'

export interface FakeOvsdbOptions {
  readonly database?: string
  /** Methods this server does not know, as older ones. */
  readonly unknownMethods?: readonly string[]
  /** Tables its schema does not have. */
  readonly unknownTables?: readonly string[]
  /** The row of `_Server`'s Database; `null`: the server has no such database. */
  readonly status?: FakeRow | null
  /** Forgets its history when it restarts, as a server without stored transaction ids. */
  readonly forgetful?: boolean
}

interface Client {
  readonly socket: Duplex
  readonly monitors: FakeMonitor[]
  buffer: string
}

interface Request {
  readonly method: string
  readonly params: readonly unknown[]
  readonly id: unknown
}

/** One of a transaction. */
interface Operation {
  readonly op: string
  readonly table?: string
  /** All of them have to match. */
  readonly where?: readonly unknown[]
  readonly columns?: readonly string[]
}

interface MonitorRequest {
  readonly select?: { readonly initial?: boolean }
  readonly columns: readonly string[]
  readonly where?: readonly unknown[]
}

function conditionsOf(requests: unknown): FakeConditions {
  const wanted = Object.entries(requests as Record<string, MonitorRequest[]>)
  return Object.fromEntries(wanted.map(([table, [request]]) => [table, request?.where]))
}

const standalone: FakeRow = {
  name: 'OVN_Southbound',
  model: 'standalone',
  connected: true,
  leader: true,
}
const statusUuid = '5e5e5e5e-0000-4000-8000-000000000001'

/** An OVSDB server in miniature on a UNIX socket, which can also misbehave. */
export class FakeOvsdb {
  readonly path: string
  readonly requests: Request[] = []
  /** Cuts everything it sends into pieces of this many bytes. */
  pieceBytes = Number.POSITIVE_INFINITY
  /** Writes nothing, as a server that is busy or stopped; see {@link answerLate}. */
  isMute = false
  #unsent: (() => void)[] = []
  readonly #directory: string
  readonly #options: FakeOvsdbOptions
  #status: FakeRow | undefined
  #tables: FakeTables = {}
  #transaction = 0
  #history: { readonly number: number; readonly before: FakeTables }[] = []
  #server: Server | undefined
  readonly #clients = new Set<Client>()

  static async open(options: FakeOvsdbOptions = {}): Promise<FakeOvsdb> {
    const directory = await mkdtemp(join(tmpdir(), 'ovt-ovsdb-'))
    const fake = new FakeOvsdb(directory, options)
    await fake.listen()
    return fake
  }

  constructor(directory: string, options: FakeOvsdbOptions) {
    this.#directory = directory
    this.#options = options
    this.path = join(directory, 'db.sock')
    this.#status = options.status === null ? undefined : (options.status ?? standalone)
  }

  get endpoint(): { readonly kind: 'unix'; readonly path: string } {
    return { kind: 'unix', path: this.path }
  }

  /** What the monitors of this name select, one for each client. */
  conditionsOf(name: string): readonly FakeConditions[] {
    const monitors = [...this.#clients].flatMap((client) => client.monitors)
    return monitors.filter(({ id }) => id === name).map(({ conditions }) => conditions)
  }

  get clientCount(): number {
    return this.#clients.size
  }

  async listen(): Promise<void> {
    const server = createServer((socket) => this.#accept(socket.setNoDelay(true)))
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.path, resolve))
  }

  /** Ends all connections and stops listening. */
  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const { socket } of this.#clients) socket.destroy()
    this.#clients.clear()
    if (this.#options.forgetful === true) this.#history = []
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()))
  }

  async close(): Promise<void> {
    await this.stop()
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** Makes the database hold exactly these rows, as one transaction. */
  setTables(tables: FakeTables): void {
    const before = this.#tables
    this.#history.push({ number: this.#transaction, before })
    this.#transaction += 1
    this.#tables = tables
    for (const client of this.#clients) {
      for (const monitor of client.monitors) {
        const updates = differences(before, tables, monitor)
        if (Object.keys(updates).length > 0) this.#notify(client, monitor, updates)
      }
    }
  }

  get tables(): FakeTables {
    return this.#tables
  }

  /** Changes what the server says of the database; `undefined`: it has it no more. */
  setStatus(status: FakeRow | undefined): void {
    const before = this.#status
    this.#status = status
    const update =
      status === undefined ? { delete: null } : { [before ? 'modify' : 'insert']: status }
    for (const client of this.#clients) {
      this.send(client, {
        method: 'update2',
        params: ['_Server', { Database: { [statusUuid]: update } }],
        id: null,
      })
    }
  }

  /** Sends bytes as they are to everybody. */
  sendRaw(text: string): void {
    for (const { socket } of this.#clients) socket.write(text)
  }

  cancelMonitors(): void {
    for (const client of this.#clients) {
      for (const { id } of client.monitors.splice(0)) {
        this.send(client, { method: 'monitor_canceled', params: [id], id: null })
      }
    }
  }

  /** A connection that is no socket, for a server that does not listen. */
  connect(): Duplex {
    const [ours, theirs] = duplexPair()
    theirs.once('close', () => ours.destroy())
    ours.once('close', () => theirs.destroy())
    this.#accept(theirs)
    return ours
  }

  /** Ends all connections, with what was on its way. */
  cut(): void {
    this.#unsent = []
    for (const { socket } of this.#clients) socket.destroy()
    this.#clients.clear()
  }

  /** Knows no earlier transaction any more. */
  forgetHistory(): void {
    this.#history = []
  }

  /** Writes one message that it should have written while it was mute. */
  answerOne(): void {
    this.isMute = true
    this.#unsent.shift()?.()
  }

  /** Writes what it should have written while it was mute, in its order. */
  answerLate(): void {
    // A client may answer within the call: what the server sends to that comes after what already waits.
    this.isMute = true
    for (let send = this.#unsent.shift(); send !== undefined; send = this.#unsent.shift()) send()
    this.isMute = false
  }

  send(client: Client, message: unknown): void {
    if (this.isMute) this.#unsent.push(() => this.#write(client, message))
    else this.#write(client, message)
  }

  #write(client: Client, message: unknown): void {
    const bytes = Buffer.from(JSON.stringify(message))
    if (this.pieceBytes >= bytes.length) {
      client.socket.write(bytes)
      return
    }
    for (let at = 0; at < bytes.length; at += this.pieceBytes) {
      client.socket.write(bytes.subarray(at, at + this.pieceBytes))
    }
  }

  #accept(socket: Duplex): void {
    const client: Client = { socket, monitors: [], buffer: '' }
    this.#clients.add(client)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#clients.delete(client))
    socket.on('data', (chunk: Buffer) => {
      client.buffer += chunk.toString('utf8')
      for (const request of takeMessages(client))
        this.#answer(client, request as unknown as Request)
    })
  }

  #answer(client: Client, request: Request): void {
    if (request.method === undefined) return
    this.requests.push(request)
    const { id } = request
    const refuse = (error: string): void =>
      this.send(client, { result: null, error: { error }, id })
    if (this.#options.unknownMethods?.includes(request.method) === true) {
      refuse('unknown method')
      return
    }
    switch (request.method) {
      case 'echo':
        this.send(client, { result: request.params, error: null, id })
        return
      case 'set_db_change_aware':
        this.send(client, { result: {}, error: null, id })
        return
      case 'transact':
        if (request.params[0] === '_Server') {
          this.send(client, { result: [{ rows: [this.#status ?? {}] }], error: null, id })
          return
        }
        this.send(client, {
          result: request.params.slice(1).map((one) => this.#execute(one as Operation)),
          error: null,
          id,
        })
        return
      case 'monitor_cancel': {
        const place = client.monitors.findIndex((one) => one.id === request.params[0])
        if (place !== -1) client.monitors.splice(place, 1)
        this.send(client, { result: {}, error: null, id })
        return
      }
      case 'monitor_cond_change':
        this.#changeConditions(client, request)
        return
      case 'monitor':
      case 'monitor_cond':
      case 'monitor_cond_since':
        this.#monitor(client, request, refuse)
        return
      default:
        refuse('unknown method')
    }
  }

  #execute({ op, table = '', where = [], columns = [] }: Operation): unknown {
    if (op !== 'select') return { count: 1 }
    const rows = where.reduce<FakeTables>(
      (left, condition) => selectedRows(left, { [table]: [condition] }),
      this.#tables,
    )
    return {
      rows: Object.entries(rows[table] ?? {}).map(([uuid, row]) => ({
        ...Object.fromEntries(
          columns.filter((name) => name in row).map((name) => [name, row[name]]),
        ),
        _uuid: ['uuid', uuid],
      })),
    }
  }

  #monitor(client: Client, { method, params, id }: Request, refuse: (error: string) => void): void {
    const [database, monitorId, requests, last] = params
    if (database === '_Server') {
      if (this.#options.status === null) {
        refuse('unknown database')
        return
      }
      const rows = this.#status ? { Database: { [statusUuid]: { initial: this.#status } } } : {}
      this.send(client, { result: rows, error: null, id })
      return
    }
    if (this.#status === undefined && this.#options.status !== null) {
      refuse('unknown database')
      return
    }
    const tables = Object.keys(requests as object)
    if (tables.some((table) => this.#options.unknownTables?.includes(table))) {
      refuse('syntax error')
      return
    }
    const kind = {
      monitor: 'update',
      monitor_cond: 'update2',
      monitor_cond_since: 'update3',
    } as const
    const wanted = Object.entries(requests as Record<string, MonitorRequest[]>)
    const columns = Object.fromEntries(
      wanted.map(([table, parts]) => [table, parts.flatMap((part) => part.columns)]),
    )
    const hasInitial = wanted.every(([, [part]]) => part?.select?.initial !== false)
    const conditions = conditionsOf(requests)
    const monitor = { id: monitorId, kind: kind[method as keyof typeof kind], columns, conditions }
    client.monitors.push(monitor)
    const known = this.#history.find(({ number }) => transactionId(number + 1) === last)
    const isNow = last === transactionId(this.#transaction)
    if (method === 'monitor_cond_since') {
      const since = isNow ? this.#tables : this.#after(known?.number)
      const found = isNow || since !== undefined
      const updates =
        found || hasInitial
          ? differences(since ?? {}, this.#tables, monitor, { isInitial: !found })
          : {}
      const result = [found, transactionId(this.#transaction), updates]
      this.send(client, { result, error: null, id })
      return
    }
    const result = hasInitial ? differences({}, this.#tables, monitor, { isInitial: true }) : {}
    this.send(client, { result, error: null, id })
  }

  /** The rows come before the answer, as ovsdb-server sends them. */
  #changeConditions(client: Client, { params, id }: Request): void {
    const [monitorId, , requests] = params
    const monitor = client.monitors.find((one) => one.id === monitorId)
    if (monitor === undefined) {
      this.send(client, { result: null, error: { error: 'unknown monitor session' }, id })
      return
    }
    const formerly = monitor.conditions
    monitor.conditions = { ...formerly, ...conditionsOf(requests) }
    const updates = differences(this.#tables, this.#tables, monitor, { formerly })
    if (Object.keys(updates).length > 0) this.#notify(client, monitor, updates)
    this.send(client, { result: {}, error: null, id })
  }

  /** The tables as they were after a transaction. */
  #after(number: number | undefined): FakeTables | undefined {
    if (number === undefined) return undefined
    return this.#history.find((entry) => entry.number === number + 1)?.before
  }

  #notify(client: Client, monitor: FakeMonitor, updates: unknown): void {
    const params =
      monitor.kind === 'update3'
        ? [monitor.id, transactionId(this.#transaction), updates]
        : [monitor.id, updates]
    this.send(client, { method: monitor.kind, params, id: null })
  }
}

function transactionId(number: number): string {
  return `7a7a7a7a-0000-4000-8000-${number.toString(16).padStart(12, '0')}`
}

/** Takes whole objects off the front of what a client sent, found by trial: clients' messages are short. */
function* takeMessages(client: Client): Generator<Record<string, unknown>> {
  for (;;) {
    let end = client.buffer.indexOf('}')
    let message: Record<string, unknown> | undefined
    while (end !== -1) {
      try {
        message = JSON.parse(client.buffer.slice(0, end + 1)) as Record<string, unknown>
        break
      } catch {
        end = client.buffer.indexOf('}', end + 1)
      }
    }
    if (message === undefined) return
    client.buffer = client.buffer.slice(end + 1)
    yield message
  }
}
