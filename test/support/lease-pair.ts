import { setImmediate as turn } from 'node:timers/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Port } from '../../agent-side/ports/directory/port-directory.ts'
import { silentLogger } from '../../lib/runtime/log.ts'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { ipAddressBytes } from '../../lib/identity/ip-address.ts'
import type {
  RequestRecord,
  FromWorker,
  ListenerDescription,
} from '../../proxy/worker/shared/protocol.ts'
import { Worker } from '../../proxy/worker/worker.ts'
import { instanceId, ip, mac, networkId, portId, projectId } from '../conformance/topology.ts'
import { FakeClock } from './fake-clock.ts'
import { get, RawConnection, type RawAnswer } from './raw-http.ts'
import { novaLike, RecordingUpstream, type AnswerUpstream } from './recording-upstream.ts'
import { scratchFolder } from './scratch-folder.ts'
import { ScriptedDirectory } from './scripted-directory.ts'
import { startAgent, type RunningAgent } from './start-agent.ts'
import { freeTcpPort } from './start-worker.ts'

/** A port of a guest that connects from an address of loopback; its numbers are all `number` unless told. */
export function guestPort(number: number, given: Partial<Port> = {}): Port {
  return {
    portId: portId(number),
    networkId: networkId(1),
    macAddress: mac(number),
    fixedIps: [ip('127.0.1.1')],
    instanceId: instanceId(number),
    projectId: projectId(1),
    ...given,
  }
}

/** Who connects; without a MAC, the kernel has kept no SYN. */
interface Guest {
  readonly fixedIps: Port['fixedIps']
  readonly macAddress: Port['macAddress'] | undefined
  /** With which its SYN arrives. @default 64 */
  readonly hopLimit?: number
}

/** The frame of a guest's SYN, as the kernel saves it. */
function synFrom({ macAddress, fixedIps, hopLimit = 64 }: Guest): Uint8Array | undefined {
  if (macAddress === undefined) return undefined
  const frame = new Uint8Array(54)
  frame.set(Buffer.from(macAddress.replaceAll(':', ''), 'hex'), 6)
  frame.set(ipAddressBytes(fixedIps[0]!), 26)
  frame.set([0x08, 0x00, 0x45], 12)
  frame[22] = hopLimit
  frame.set([0xc8, 0x22], 14 + 20)
  frame[14 + 20 + 12] = 0x50
  return frame
}

export interface LeaseWorkerOptions {
  readonly clock: FakeClock
  readonly agentSocket: string
  readonly leaseSocket: string
  readonly scopes?: readonly ListenerDescription['scope'][]
  readonly connections?: number
  readonly leases?: number
  /** Of the worker's own configuration. @default 10 s */
  readonly timeoutHeaders?: Milliseconds
}

interface Seen {
  /** Of the next connection. */
  guest: Guest | undefined
  told: FromWorker[]
  readonly hopLimits: number[]
}

/** A real worker of this process, which sees whatever source MAC a test wants it to see. */
export class LeaseWorker {
  readonly #tcpPorts: readonly number[]
  readonly #state: Seen
  readonly worker: Worker

  private constructor(worker: Worker, tcpPorts: readonly number[], state: Seen) {
    this.worker = worker
    this.#tcpPorts = tcpPorts
    this.#state = state
  }

  static async start(t: Test, options: LeaseWorkerOptions): Promise<LeaseWorker> {
    const state: Seen = { guest: undefined, told: [], hopLimits: [] }
    const limit = 10_000
    const worker = new Worker({
      config: {
        logLevel: 'error',
        backlog: 1_024,
        agent: {
          addresses: [{ kind: 'unix', socket: options.agentSocket }],
          connections: 16,
          timeoutConnect: limit,
          timeoutHeaders: options.timeoutHeaders ?? limit,
          timeoutBody: limit,
          checksHealth: false,
        },
        forwarding: {
          leaseSocket: options.leaseSocket,
          leases: options.leases ?? 100,
          connections: options.connections ?? 4,
          timeoutConnect: 1_000,
        },
        limits: {
          headBytes: 16_384,
          bodyBytes: 65_536,
          timeoutHead: limit,
          timeoutRequest: limit,
          timeoutKeepAlive: limit,
          connectionsPerSource: 1_000,
          connectionsPerNamespace: 2_000,
          requestsPerConnection: 10_000,
        },
      },
      clock: options.clock,
      logger: silentLogger,
      savedSyn: () => state.guest && synFrom(state.guest),
      ingressPort: () => undefined,
      setHopLimit: (_fd, _isPeerIpv6, hops) => void state.hopLimits.push(hops),
      nextDescriptor: () => undefined,
      send: (message) => void state.told.push(message),
    })
    const scopes = options.scopes ?? [{ kind: 'network', networkId: networkId(1) } as const]
    const tcpPorts = await Promise.all(scopes.map(() => freeTcpPort()))
    await worker.handle({
      kind: 'own-listeners',
      listeners: scopes.map((scope, index) => ({
        listenerId: index + 1,
        scope,
        flavour: 'ml2',
        netns: `test-${index + 1}`,
        bound: 'loopback',
        host: '127.0.0.1',
        tcpPort: tcpPorts[index]!,
      })),
    })
    t.teardown(() => worker.handle({ kind: 'drain', limit: 0 }))
    return new LeaseWorker(worker, tcpPorts, state)
  }

  /** What was set for connections since the last look. */
  takeHopLimits(): readonly number[] {
    return this.#state.hopLimits.splice(0)
  }

  /** A guest's connection. Guests connect one after the other, since the next one's MAC is told beforehand. */
  async connectAs(port: Guest, scope = 0): Promise<RawConnection> {
    this.#state.guest = port
    const before = await this.metric('overlapd_proxy_connections_total')
    const socket = connect({
      host: '127.0.0.1',
      port: this.#tcpPorts[scope]!,
      localAddress: port.fixedIps[0]!,
      noDelay: true,
    })
    const connection = await RawConnection.over(socket)
    while ((await this.metric('overlapd_proxy_connections_total')) === before) await turn()
    return connection
  }

  /** One request on a connection of its own. */
  async ask(port: Guest, target = '/latest/meta-data', scope = 0): Promise<RawAnswer> {
    const connection = await this.connectAs(port, scope)
    const answer = await askOn(connection, target)
    connection.close()
    return answer
  }

  /** Asks until a lease is there, so that the next request can go straight. */
  async askUntilLeased(port: Port, scope = 0): Promise<void> {
    const before = await this.leases()
    await this.ask(port, undefined, scope)
    await this.untilLeases(before + 1)
  }

  async leases(): Promise<number> {
    return await this.metric('overlapd_proxy_leases')
  }

  async untilLeases(count: number): Promise<void> {
    while ((await this.leases()) !== count) await turn()
  }

  /** Requests that have gone straight to compute. */
  async direct(): Promise<number> {
    return await this.metric('overlapd_proxy_direct_requests_total')
  }

  /** Which way requests go, as the worker reports it. */
  async forwarding(): Promise<{ readonly way: string; readonly why?: string }> {
    this.#state.told.length = 0
    await this.worker.handle({ kind: 'ping', id: 1 })
    const [told] = this.#state.told
    if (told?.kind !== 'pong') throw new Error('No answer to a ping')
    return told.forwarding
  }

  /** What the worker tells of a request that went straight to compute. */
  async findRequest(requestId: string): Promise<RequestRecord | undefined> {
    this.#state.told.length = 0
    await this.worker.handle({ kind: 'find-request', id: 1, requestId })
    const [told] = this.#state.told
    return told?.kind === 'request-record' ? told.record : undefined
  }

  async metric(name: string): Promise<number> {
    this.#state.told.length = 0
    await this.worker.handle({ kind: 'metrics', id: 1 })
    const [told] = this.#state.told
    const metrics = told?.kind === 'metrics' ? told.metrics : []
    const metric = metrics.find((one) => one.name === name)
    if (metric === undefined) throw new Error(`No metric "${name}"`)
    return metric.values.reduce((sum, { value }) => sum + value, 0)
  }
}

/** What one end of a UNIX socket wrote is readable at the other in the next turn of the event loop; and then some. */
export async function ioTurns(): Promise<void> {
  for (let count = 0; count < 10; count += 1) await turn()
}

/** One request on an open connection. */
export async function askOn(
  connection: RawConnection,
  target = '/latest/meta-data',
): Promise<RawAnswer> {
  void connection.write(get(target))
  const answer = await connection.answer()
  if (answer === undefined) throw new Error('No answer')
  return answer
}

export interface LeasePairOptions extends Pick<
  LeaseWorkerOptions,
  'scopes' | 'connections' | 'leases' | 'timeoutHeaders'
> {
  readonly config?: Readonly<Record<string, unknown>>
  readonly leasing?: Readonly<Record<string, unknown>>
  readonly answer?: AnswerUpstream
  readonly nextSecret?: string
  readonly directory?: ScriptedDirectory
  readonly clock?: FakeClock
}

/** A real worker and a real agent that leases to it, with a Nova between them and the test. */
export interface LeasePair {
  readonly clock: FakeClock
  readonly directory: ScriptedDirectory
  readonly upstream: RecordingUpstream
  readonly agent: RunningAgent
  readonly worker: LeaseWorker
  /** Path of the agent's socket for leases. */
  readonly leaseSocket: string
  /** Lets time pass in steps small enough for heartbeats to be heard. */
  pass(span: Milliseconds): Promise<void>
  /** Another worker of the same host. */
  another(): Promise<LeaseWorker>
}

export async function startLeasePair(t: Test, options: LeasePairOptions = {}): Promise<LeasePair> {
  const clock = options.clock ?? new FakeClock()
  const directory = options.directory ?? new ScriptedDirectory(clock, { answersAtOnce: true })
  const upstream = await RecordingUpstream.start(options.answer ?? novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  const leaseSocket = join(scratchFolder(t), 'lease.sock')
  const agent = await startAgent(t, {
    clock,
    directory,
    upstreams: [upstream.url],
    ...(options.nextSecret !== undefined && { nextSecret: options.nextSecret }),
    config: {
      ...options.config,
      leases: { enabled: true, socket: leaseSocket, mode: '0600', ...options.leasing },
    },
  })
  const another = async (): Promise<LeaseWorker> => {
    const { scopes, connections, leases, timeoutHeaders } = options
    const worker = await LeaseWorker.start(t, {
      clock,
      agentSocket: agent.socketOf('overlapd'),
      leaseSocket,
      ...(scopes && { scopes }),
      ...(connections !== undefined && { connections }),
      ...(leases !== undefined && { leases }),
      ...(timeoutHeaders !== undefined && { timeoutHeaders }),
    })
    return worker
  }
  const pass = async (span: Milliseconds): Promise<void> => {
    for (let left = span; left > 0; left -= 500) {
      await clock.advance(Math.min(500, left))
      await ioTurns()
    }
  }
  const worker = await another()
  return { clock, directory, upstream, agent, leaseSocket, worker, pass, another }
}
