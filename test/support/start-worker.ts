import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../lib/runtime/clock.ts'
import { JsonLineChannel } from '../../lib/wire/json-line-channel.ts'
import { parseNetworkId, parseRouterId } from '../../lib/identity/ids.ts'
import { sendDescriptors } from '../../lib/linux/descriptor-messages.ts'
import { linux, openSocketPair, setSocketOption } from '../../lib/linux/libc.ts'
import type { MetricJson } from '../../proxy/worker/shared/metric-json.ts'
import type {
  FromWorker,
  ListenerDescription,
  ToWorker,
  WorkerConfig,
} from '../../proxy/worker/shared/protocol.ts'
import { readFromWorker } from '../../proxy/worker/shared/read-from-worker.ts'
import { testsDirectForwarding } from './forwarding-mode.ts'
import type { RawTarget } from './raw-http.ts'

type Identity = Pick<ListenerDescription, 'scope' | 'flavour'>

export interface StartWorkerOptions {
  /** Path of the agent's socket. */
  readonly agentSocket?: string
  readonly agent?: Partial<WorkerConfig['agent']>
  readonly limits?: Partial<WorkerConfig['limits']>
  readonly canary?: NonNullable<WorkerConfig['canary']>
  /** One listening socket on loopback for each; a router by default. */
  readonly identities?: readonly Identity[]
  readonly host?: string
}

export const testRouterId = '8a4b1f0c-5f5e-4ad1-9d7b-0f3a8b1c2d3e'
export const testNetworkId = 'c0ffee00-1111-4222-8333-444455556666'

export const routerIdentity: Identity = {
  scope: { kind: 'router', routerId: parseRouterId(testRouterId)! },
  flavour: 'ml2',
}
export const networkIdentity: Identity = {
  scope: { kind: 'network', networkId: parseNetworkId(testNetworkId)! },
  flavour: 'ml2',
}
export const ovnIdentity: Identity = { ...networkIdentity, flavour: 'ovn' }

const defaultAgent: Omit<WorkerConfig['agent'], 'addresses'> = {
  connections: 16,
  timeoutConnect: 100,
  timeoutHeaders: 10_000,
  timeoutBody: 10_000,
  checksHealth: false,
}

const defaultLimits: WorkerConfig['limits'] = {
  headBytes: 16_384,
  bodyBytes: 65_536,
  timeoutHead: 10_000,
  timeoutRequest: 10_000,
  timeoutKeepAlive: 10_000,
  connectionsPerSource: 1_000,
  connectionsPerNamespace: 2_000,
  requestsPerConnection: 10_000,
}

/** A worker in a process of its own, started and given its sockets as the supervisor does it. */
export class StartedWorker {
  /** Where guests connect, in the order of the identities. */
  readonly targets: readonly RawTarget[]
  readonly exited: Promise<number | null>
  readonly #child: ChildProcess
  readonly #channel: number
  readonly #lines: JsonLineChannel
  readonly #received: FromWorker[] = []
  readonly #waiting: (() => void)[] = []
  #metricsAsked = 0

  /** @param channel for descriptors; closed with the worker's end */
  constructor(child: ChildProcess, channel: number, targets: readonly RawTarget[]) {
    this.#child = child
    this.#channel = channel
    this.targets = targets
    this.exited = once(child, 'exit').then(([code]) => code as number | null)
    const pipes: readonly unknown[] = child.stdio
    this.#lines = new JsonLineChannel({
      output: pipes[3] as Socket,
      input: pipes[5] as Socket,
      longestLine: 2 ** 20,
      clock: systemClock,
      isTrusted: true,
      onValue: (value) => {
        const message = readFromWorker(value)
        if (message === undefined) throw new Error(`A worker sent ${JSON.stringify(value)}`)
        this.#received.push(message)
        this.#wake()
      },
      onEnd: () => undefined,
    })
    child.on('exit', () => {
      closeSync(channel)
      this.#wake()
    })
  }

  get target(): RawTarget {
    return this.targets[0]!
  }

  get pid(): number {
    return this.#child.pid!
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  tell(message: ToWorker): void {
    this.#lines.send(message)
  }

  /** Tells what descriptors belong to. */
  tellOf(fds: readonly number[], message: ToWorker): void {
    sendDescriptors(this.#channel, fds)
    this.tell(message)
  }

  /** The next message of a kind. */
  async told<Kind extends FromWorker['kind']>(
    kind: Kind,
  ): Promise<Extract<FromWorker, { kind: Kind }>> {
    for (;;) {
      const place = this.#received.findIndex((message) => message.kind === kind)
      if (place >= 0) {
        return this.#received.splice(place, 1)[0] as Extract<FromWorker, { kind: Kind }>
      }
      if (!this.isRunning) throw new Error(`The worker ended and never said "${kind}"`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  async metrics(): Promise<readonly MetricJson[]> {
    this.tell({ kind: 'metrics', id: (this.#metricsAsked += 1) })
    return (await this.told('metrics')).metrics
  }

  /** The value of one series, 0 when it was never counted. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const metric = (await this.metrics()).find((one) => one.name === name)
    if (metric === undefined) throw new Error(`No metric "${name}"`)
    const matching = metric.values.filter((value) =>
      Object.entries(labels).every(([label, wanted]) => value.labels[label] === wanted),
    )
    return matching.reduce((sum, { value }) => sum + value, 0)
  }

  /** What a supervisor that died leaves behind. */
  disconnect(): void {
    this.#lines.close()
  }

  async stop(): Promise<void> {
    if (!this.isRunning) return
    this.#child.kill('SIGKILL')
    await this.exited
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume()
  }
}

/** Starts a worker and waits until it accepts. Ends with `stop()`. */
export async function startWorker(options: StartWorkerOptions): Promise<StartedWorker> {
  const [ours, theirs] = openSocketPair()
  const script = fileURLToPath(new URL('../../proxy/worker/main.ts', import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, script], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', theirs, 'pipe'],
  })
  closeSync(theirs)
  const identities = options.identities ?? [routerIdentity]
  const servers = await Promise.all(identities.map(() => listenOnLoopback(options.host)))
  const targets = servers.map((server) => {
    const { address, port } = server.address() as AddressInfo
    return { host: address, tcpPort: port }
  })
  const worker = new StartedWorker(child, ours, targets)
  worker.tell({
    kind: 'configure',
    config: {
      logLevel: 'error',
      backlog: 1_024,
      agent: {
        addresses: options.agentSocket ? [{ kind: 'unix', socket: options.agentSocket }] : [],
        ...defaultAgent,
        ...options.agent,
      },
      ...(testsDirectForwarding() && {
        forwarding: {
          leaseSocket: join(dirname(options.agentSocket ?? '/nowhere/agent'), 'lease.sock'),
          leases: 1_000,
          connections: 16,
          timeoutConnect: 1_000,
        },
      }),
      ...(options.canary && { canary: options.canary }),
      limits: { ...defaultLimits, ...options.limits },
    },
  })
  await worker.told('ready')
  worker.tellOf(servers.map(descriptorOf), {
    kind: 'listeners',
    listeners: identities.map((identity, index) => ({
      ...identity,
      listenerId: index + 1,
      netns: `test-${index + 1}`,
      bound: `${targets[index]!.host}:${targets[index]!.tcpPort}`,
    })),
  })
  await worker.told('listening')
  // The worker has copies; ours would take connections away from it.
  for (const server of servers) server.close()
  return worker
}

/** A TCP port of loopback that nobody listens on just now. */
export async function freeTcpPort(): Promise<number> {
  const server = await listenOnLoopback()
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function listenOnLoopback(host = '127.0.0.1'): Promise<Server> {
  const server = createServer()
  server.listen({ host, port: 0 })
  await once(server, 'listening')
  setSocketOption(descriptorOf(server), linux.IPPROTO_TCP, linux.TCP_SAVE_SYN, 2)
  return server
}

function descriptorOf(server: Server): number {
  return (server as Server & { _handle: { fd: number } })._handle.fd
}
