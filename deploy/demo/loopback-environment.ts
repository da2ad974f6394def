import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import { loadConfig } from '../../lib/config/load.ts'
import { proxyConfig } from '../../proxy/config/config.ts'
import { workerConfig } from '../../proxy/config/worker-config.ts'
import { systemClock, type Count } from '../../lib/runtime/clock.ts'
import { JsonLineChannel } from '../../lib/wire/json-line-channel.ts'
import type {
  OwnListenerDescription,
  ToWorker,
  WorkerConfig,
} from '../../proxy/worker/shared/protocol.ts'
import { readFromWorker } from '../../proxy/worker/shared/read-from-worker.ts'
import { freeTcpPort } from './free-tcp-port.ts'
import { layOut, otherUser, removeFolder, startAgentSide } from './daemon-set.ts'
import type { DemoPlaces } from './documents.ts'
import { fetchAsGuest } from './guest.ts'
import type { DemoEnvironment } from './environment.ts'
import {
  planTopology,
  scopeOf,
  type DemoGuest,
  type DemoNetwork,
  type DemoTopology,
} from './topology.ts'
import { metadataPath } from './guest-checks.ts'

export interface LoopbackEnvironmentOptions {
  readonly guests: Count
  readonly networks: Count
  /** Why there are no namespaces here. */
  readonly why: string
  readonly environment: NodeJS.ProcessEnv
  readonly progress: (text: string) => void
}

const loopback = '127.0.0.1'

/**
 * The demo where no namespaces can be had: one of the proxy's workers with a loopback listener per network. All guests have
 * the address 127.0.0.1, so which network a request came through is all in which they differ.
 */
export async function loopbackEnvironment(
  options: LoopbackEnvironmentOptions,
): Promise<DemoEnvironment> {
  options.progress(`no network namespaces here (${options.why}); using loopback listeners instead`)
  const networks = Math.min(options.networks, 2)
  const topology = onLoopback(planTopology({ guests: networks, networks, run: 'loopback' }))
  const runAs = otherUser()
  const closers: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer()
  }
  try {
    const places = await layOut(topology, runAs)
    closers.push(() => removeFolder(places))
    const { compute, agent } = await startAgentSide(places, runAs, options.environment)
    closers.push(
      () => compute.stop(),
      () => agent.stop(),
    )
    const listeners = await listenersOf(topology)
    const worker = await startWorker(places, listeners)
    closers.push(() => stopWorker(worker))
    const tcpPorts = new Map(
      topology.networks.flatMap((network, index) =>
        network.guests.map((guest) => [guest, listeners[index]?.tcpPort ?? 0] as const),
      ),
    )
    return {
      kind: 'loopback',
      guestAccess: 'any-user',
      notes: [
        `No network namespaces here: ${options.why}.`,
        'Each network is a listener on 127.0.0.1 instead, and every guest has that address.',
      ],
      topology,
      places,
      pids: { demo: process.pid, compute: compute.pid, agent: agent.pid, proxy: worker.pid ?? 0 },
      requestsOf: (guest) => [
        { url: `http://${loopback}:${tcpPorts.get(guest) ?? 0}${metadataPath}`, from: loopback },
      ],
      fetch: (_network, _guest, urls) => Promise.all(urls.map(fetchAsGuest)),
      failed: Promise.race([compute.failure(), agent.failure(), failureOf(worker)]),
      close,
    }
  } catch (cause) {
    await close()
    throw cause
  }
}

function onLoopback(topology: DemoTopology): DemoTopology {
  const moved = (guest: DemoGuest): DemoGuest => ({ ...guest, ip: loopback, ip6: '::1' })
  return {
    ...topology,
    networks: topology.networks.map((network) => ({
      ...network,
      guests: network.guests.map(moved),
    })),
  }
}

async function listenersOf(topology: DemoTopology): Promise<OwnListenerDescription[]> {
  return Promise.all(
    topology.networks.map(async (network, index) =>
      listenerOf(network, index, await freeTcpPort()),
    ),
  )
}

function listenerOf(network: DemoNetwork, index: number, tcpPort: number): OwnListenerDescription {
  return {
    listenerId: index + 1,
    scope: scopeOf(network),
    flavour: 'ml2',
    netns: network.neutronName,
    bound: `${loopback}:${tcpPort}`,
    host: loopback,
    tcpPort,
  }
}

/** Starts a worker as the supervisor would, with listeners that it binds itself. */
function startWorker(
  places: DemoPlaces,
  listeners: readonly OwnListenerDescription[],
): Promise<ChildProcess> {
  const script = join(import.meta.dirname, '..', '..', 'proxy', 'worker', 'main.js')
  const worker = spawn(process.execPath, [script], {
    env: {},
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'ignore', 'pipe'],
  })
  return new Promise((resolve, reject) => {
    worker.on('error', reject)
    worker.on('exit', (code) => reject(new Error(`The worker ended with code ${String(code)}`)))
    const pipes: readonly unknown[] = worker.stdio
    const channel = new JsonLineChannel({
      output: pipes[3] as Socket,
      input: pipes[5] as Socket,
      longestLine: 2 ** 20,
      clock: systemClock,
      onValue: (value) => {
        const message = readFromWorker(value)
        if (message?.kind === 'ready') send({ kind: 'own-listeners', listeners })
        else if (message?.kind === 'listening') resolve(worker)
        else if (message?.kind === 'listen-failed') reject(new Error(message.failures[0]?.cause))
      },
      onEnd: () => undefined,
    })
    const send = (message: ToWorker): void => channel.send(message)
    send({ kind: 'configure', config: configOfWorker(places) })
  })
}

function configOfWorker({ agentSocket }: DemoPlaces): WorkerConfig {
  const { config } = loadConfig(proxyConfig.table, {
    environment: {},
    environmentPrefix: 'OVERLAPD_DEMO',
    set: ['log.level=error'],
  })
  return workerConfig(config, [{ kind: 'unix', socket: agentSocket }])
}

async function failureOf(worker: ChildProcess): Promise<string> {
  const [code, signal] = (await once(worker, 'exit')) as [number | null, string | null]
  return `the worker ended (${signal ?? `exit code ${String(code)}`})`
}

function stopWorker(worker: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (worker.exitCode !== null) {
      resolve()
      return
    }
    worker.removeAllListeners('exit')
    worker.once('exit', () => resolve())
    worker.kill('SIGKILL')
  })
}
