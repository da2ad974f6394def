/** What does a tier of two central agents cost, and does a request fail when one of them goes? Over mutual TLS, under load. */
import { mkdir, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Count } from '../../../lib/runtime/clock.ts'
import { requestAdminJson } from '../../../lib/http/admin-client.ts'
import { Daemon } from '../../../deploy/demo/daemons.ts'
import { TestAuthority, type Issued } from '../../support/test-authority.ts'
import { tlsListener } from '../../support/tls-agent.ts'
import { BenchProcess } from '../bench-process.ts'
import type { UpstreamStarted } from '../constant-upstream.ts'
import { cpuTimeOf, pssOf } from '../process-figures.ts'
import { Teardown } from '../teardown.ts'
import type { CentralRow } from './central-row.ts'
import { networkIdOf } from './cloud-rows.ts'
import { networksOf, type Fleet } from './measure.ts'
import type { ProxiesReport, SimulatedProxy } from './proxies-program.ts'
import { relayOf, SouthboundServer } from './southbound-servers.ts'

/** Proxies of one process. */
const perProcess: Count = 500
const pauseOfProxy = 20_000
/** Of proxies that start, a second. */
const startsPerSecond = 20
const phaseSeconds = 20
const startPatience = 600_000
const stem = 'host-0000'

async function freeTcpPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
}

/** One of the two, which can be killed and started again. */
class CentralAgent {
  readonly tcpPort: number
  readonly #folder: string
  #daemon: Daemon | undefined

  constructor(folder: string, tcpPort: number) {
    this.#folder = folder
    this.tcpPort = tcpPort
  }

  get pid(): number {
    return this.#daemon?.pid ?? 0
  }

  async configure(document: Readonly<Record<string, unknown>>): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    const admin = { socket: join(this.#folder, 'admin.sock') }
    // YAML takes JSON as it is.
    await writeFile(join(this.#folder, 'agent.yaml'), JSON.stringify({ ...document, admin }))
  }

  async start(): Promise<void> {
    const plan = {
      name: `central agent on port ${this.tcpPort}`,
      program: 'agent-side/main.js',
      arguments: ['serve', '--config', join(this.#folder, 'agent.yaml')],
      logFile: join(this.#folder, 'agent.log'),
      adminSocket: join(this.#folder, 'admin.sock'),
    }
    this.#daemon = Daemon.start(plan, process.env)
    await this.#daemon.ready(startPatience)
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop()
  }

  kill(): void {
    process.kill(this.pid, 'SIGKILL')
  }

  /** Connections of proxies. */
  async connections(): Promise<Count> {
    const { value } = await requestAdminJson(join(this.#folder, 'admin.sock'), '/status')
    const { listeners } = value as { listeners: readonly { connections: Count }[] }
    return listeners.reduce((sum, { connections }) => sum + connections, 0)
  }
}

class ProxyFleet {
  readonly #processes: readonly BenchProcess<ProxiesReport>[]
  #before = { answered: 0, wrong: 0, failed: 0, failovers: 0 }

  private constructor(processes: readonly BenchProcess<ProxiesReport>[]) {
    this.#processes = processes
  }

  static async start(
    folder: string,
    caFile: string,
    guests: Count,
    proxies: readonly SimulatedProxy[],
    teardown: Teardown,
  ): Promise<ProxyFleet> {
    const processes: BenchProcess<ProxiesReport>[] = []
    for (let from = 0; from < proxies.length; from += perProcess) {
      const file = join(folder, `proxies-${from}.json`)
      const some = proxies.slice(from, from + perProcess)
      const startSpan = (proxies.length / startsPerSecond) * 1_000
      const options = { caFile, guests, pause: pauseOfProxy, startSpan, proxies: some }
      await writeFile(file, JSON.stringify(options))
      processes.push(
        await BenchProcess.start<ProxiesReport>('fleet/proxies-program.js', { file }, teardown),
      )
    }
    return new ProxyFleet(processes)
  }

  /** What has happened since the last call. */
  async since(): Promise<ProxiesReport> {
    const all = await Promise.all(this.#processes.map((one) => one.report()))
    const sum = (of: (one: ProxiesReport) => number): number =>
      all.reduce((total, one) => total + of(one), 0)
    const now = {
      answered: sum((one) => one.answered),
      wrong: sum((one) => one.wrong),
      failed: sum((one) => one.failed),
      failovers: sum((one) => one.failovers),
    }
    const before = this.#before
    this.#before = now
    return {
      answered: now.answered - before.answered,
      wrong: now.wrong - before.wrong,
      failed: now.failed - before.failed,
      failovers: now.failovers - before.failovers,
      failures: Object.assign({}, ...all.map((one) => one.failures)) as Record<string, Count>,
      slowest: Math.max(...all.map((one) => one.slowest)),
    }
  }
}

interface Tier {
  readonly agents: readonly [CentralAgent, CentralAgent]
  readonly proxies: ProxyFleet
}

async function startTier(
  fleet: Fleet,
  hosts: Count,
  folder: string,
  teardown: Teardown,
): Promise<Tier> {
  await mkdir(folder, { recursive: true })
  const authority = new TestAuthority(folder)
  const server = authority.issue({ commonName: 'agent', ipAddresses: ['127.0.0.1'] })
  const first = authority.issue({ dnsNames: [stem], usage: 'clientAuth' })
  const names = Array.from({ length: hosts }, (_, host) => `host-${String(host).padStart(4, '0')}`)
  const certificates = names.map((name): Issued =>
    name === stem ? first : authority.renamed(first, stem, name),
  )
  const proxiesFile = join(folder, 'proxies.yaml')
  const granted = names.map((name, host) => ({
    name,
    scopes: networksOf(fleet, host).map((network) => `network/${networkIdOf(network)}`),
  }))
  await writeFile(proxiesFile, JSON.stringify({ proxies: granted }))
  const secretFile = join(folder, 'secret')
  await writeFile(secretFile, 's3cr3t', { mode: 0o600 })
  const upstream = await BenchProcess.start<UpstreamStarted>(
    'constant-upstream.js',
    { host: '127.0.0.1', tcpPort: 0 },
    teardown,
  )
  const agents = [
    new CentralAgent(join(folder, 'one'), await freeTcpPort()),
    new CentralAgent(join(folder, 'two'), await freeTcpPort()),
  ] as const
  for (const [place, agent] of agents.entries()) {
    // A server that prepares a whole copy answers nobody meanwhile.
    const relay = new SouthboundServer(folder, `relay-${place}`, relayOf(fleet.server))
    teardown.add(() => relay.stop())
    await relay.start()
    const tcp = { tcp: `127.0.0.1:${agent.tcpPort}`, proxies_file: proxiesFile }
    await agent.configure({
      listeners: [tlsListener(authority, server, tcp)],
      ports: {
        kind: 'ovn',
        ovn: { ovn_sb_connection: [relay.endpoint], message_bytes: '1GiB' },
      },
      compute: {
        upstreams: [`http://127.0.0.1:${upstream.started.tcpPort}`],
        shared_secret_file: secretFile,
      },
    })
    teardown.add(() => agent.stop())
    await agent.start()
  }
  const tcpPorts = agents.map(({ tcpPort }) => tcpPort)
  const proxies = certificates.map((issued, host) => ({
    ...issued,
    networks: networksOf(fleet, host),
    agentPorts: host % 2 === 0 ? tcpPorts : tcpPorts.toReversed(),
  }))
  const { portsPerNetwork: guests } = fleet.cloud
  return {
    agents,
    proxies: await ProxyFleet.start(folder, authority.caFile, guests, proxies, teardown),
  }
}

/** Two agents under the requests of many proxies: in peace, one killed, back again, and both restarted in turn. */
export async function measureCentral(
  fleet: Fleet,
  hosts: Count,
  folder: string,
  note: (row: CentralRow) => void,
): Promise<readonly CentralRow[]> {
  const teardown = new Teardown()
  teardown.onInterruption()
  const rows: CentralRow[] = []
  try {
    const { agents, proxies } = await startTier(fleet, hosts, folder, teardown)
    const [first, second] = agents
    const phase = async (name: string, act: () => Promise<void>): Promise<void> => {
      const [began, pid, cpu] = [performance.now(), second.pid, cpuTimeOf(second.pid)]
      await act()
      await pause(phaseSeconds)
      const { answered, failed, wrong, failovers, slowest, failures } = await proxies.since()
      const isSame = pid === second.pid
      const row: CentralRow = {
        name,
        portsInCloud: fleet.cloud.networks * fleet.cloud.portsPerNetwork,
        proxies: hosts,
        seconds: (performance.now() - began) / 1_000,
        answered,
        failed,
        failures,
        wrong,
        failovers,
        slowestMs: slowest,
        connectionsOfSecond: await second.connections(),
        cpuSecondsOfSecond: isSame ? (cpuTimeOf(second.pid) - cpu) / 1_000 : null,
        memoryMiBOfSecond: pssOf(second.pid),
      }
      rows.push(row)
      note(row)
    }
    await phase('proxies connect', () => pause(hosts / startsPerSecond))
    await phase('both agents', async () => undefined)
    await phase('first agent killed', async () => {
      first.kill()
    })
    await phase('first agent back', () => first.start())
    await phase('both agents restarted in turn', async () => {
      for (const agent of agents) {
        await agent.stop()
        await agent.start()
        await pause(phaseSeconds)
      }
    })
    return rows
  } finally {
    await teardown.run()
  }
}
