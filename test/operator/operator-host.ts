/** How do tests get a small host as an operator has it: namespaces, a guest, both daemons, Nova, and every command of the operator? */
import { randomUUID } from 'node:crypto'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { operatorProgram } from '../../deploy/overlapd/operator-program.ts'
import { runProgram } from '../../lib/cli/command.ts'
import { requestAdmin, requestAdminJson } from '../../lib/http/admin-client.ts'
import type { Finding } from '../../lib/operator/finding.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { AgentProgram, agentSocketsIn, type AgentSockets } from '../support/agent-program.ts'
import { devSecret, runDevCompute, type RunningDevCompute } from '../support/dev-compute.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import {
  fetchFrom,
  makeNamespaces,
  runProgram as runCommand,
  uniqueName,
} from '../support/netns.ts'
import { openFolder, startProxyOn, type RunningProxy } from '../support/running-proxy.ts'
import type { Teardowns } from '../support/teardowns.ts'

import { HostPage } from './host-page.ts'

type Daemon = 'proxy' | 'agent'

/** What a command printed, and how it ended. */
export interface Said {
  readonly exitCode: number
  readonly out: string
}

const guestMac = 'fa:16:3e:00:00:10'
const networkId = randomUUID()
const projectId = randomUUID()
const instanceId = randomUUID()
const routerPortId = randomUUID()

/** A host with one router and one guest behind it. */
export class OperatorHost {
  readonly folder: string
  readonly sockets: AgentSockets
  readonly netns: string
  readonly guest: string
  readonly routerName: string
  readonly #t: Teardowns
  readonly #routerId: string
  #compute: RunningDevCompute
  #agent: AgentProgram | undefined
  #proxy: RunningProxy | undefined
  #page: HostPage | undefined

  private constructor(t: Teardowns, folder: string, compute: RunningDevCompute) {
    this.#t = t
    this.folder = folder
    this.sockets = agentSocketsIn(folder)
    this.#compute = compute
    this.#routerId = randomUUID()
    this.routerName = `qrouter-${this.#routerId}`
    const [made] = makeNamespaces(t, [
      {
        netns: uniqueName(),
        interface: `qr-${routerPortId.slice(0, 11)}`,
        addresses: ['10.0.0.1/24'],
        guest: { addresses: ['10.0.0.10/24'], mac: guestMac, via: ['10.0.0.1'] },
      },
    ])
    this.netns = made?.netns ?? ''
    this.guest = made?.guest ?? ''
  }

  static async start(t: Teardowns): Promise<OperatorHost> {
    const folder = openFolder(t)
    const host = new OperatorHost(t, folder, await runDevCompute('{}'))
    await host.#compute.closeAll()
    t.teardown(async () => {
      await host.stopAgent()
      await host.stopCompute()
    })
    host.writePorts()
    writeFileSync(host.file('secret'), devSecret)
    await host.startCompute()
    await host.startAgent()
    await host.startProxy()
    host.name(host.netns, host.routerName)
    await host.untilWell()
    const { adminSocket: proxy } = host.proxy
    host.#page = await HostPage.open(t, { proxy, agent: host.sockets.admin })
    return host
  }

  file(name: string): string {
    return join(this.folder, name)
  }

  get proxy(): RunningProxy {
    if (this.#proxy === undefined) throw new TypeError('The proxy was not started')
    return this.#proxy
  }

  get agent(): AgentProgram {
    if (this.#agent === undefined) throw new TypeError('The agent was not started')
    return this.#agent
  }

  get page(): HostPage {
    if (this.#page === undefined) throw new TypeError('The page was not opened')
    return this.#page
  }

  get computeUrl(): string {
    return this.#compute.url
  }

  /** The file of ports, which Nova reads as well. @param more further instances */
  writePorts(more: readonly unknown[] = [], faults: readonly unknown[] = []): void {
    const topology = {
      networks: [{ id: networkId, project: projectId, subnets: ['10.0.0.0/24'] }],
      routers: [{ id: this.#routerId }],
      ports: [
        { id: routerPortId, network: networkId, mac: 'fa:16:3e:00:00:01', router: this.#routerId },
      ],
      instances: [this.#instance(instanceId, 'guest'), ...more],
      compute: { faults },
    }
    writeFileSync(this.file('ports.json'), JSON.stringify(topology))
  }

  /** A second instance with the address of the first. */
  twin(): unknown {
    return this.#instance(randomUUID(), 'twin')
  }

  #instance(id: string, name: string): unknown {
    const port = { id: randomUUID(), network: networkId, mac: guestMac, fixed_ips: ['10.0.0.10'] }
    return { id, name, ports: [port] }
  }

  async startCompute(): Promise<void> {
    const url = this.#compute.url
    const tcpPort = url === '' ? 0 : Number(new URL(url).port)
    const text = readFileSync(this.file('ports.json'), 'utf8')
    this.#compute = await runDevCompute(text, systemClock, tcpPort)
  }

  async stopCompute(): Promise<void> {
    await this.#compute.closeAll()
  }

  /** @param changes sections of its configuration */
  async startAgent(changes: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await this.stopAgent()
    const { sockets } = this
    this.#agent = AgentProgram.spawn({
      sockets,
      configFile: this.file('agent.json'),
      config: {
        ports: { kind: 'static', static: { file: this.file('ports.json'), poll_interval: '1s' } },
        compute: {
          upstreams: [this.computeUrl],
          shared_secret_file: this.file('secret'),
          timeout_restart: '0s',
          probe_interval: '60s',
        },
        served_scopes: { socket: this.file('scopes.sock') },
        limits: { timeout_drain: '100ms' },
        ...changes,
      },
    })
    await until('the agent listens', async () => {
      const { value } = await requestAdminJson(sockets.admin, '/ready')
      const { parts } = value as HealthReport
      return parts.some(({ name, ready }) => name === 'listeners' && ready)
    })
  }

  async stopAgent(): Promise<void> {
    await this.#agent?.stop()
  }

  /** @param by words before the program, such as those of setpriv */
  async startProxy(by?: readonly string[], ...set: readonly string[]): Promise<void> {
    if (this.#proxy !== undefined) await this.#proxy.stop()
    const netnsFolder = this.file('netns')
    await runCommand(['mkdir', '-p', netnsFolder])
    this.#proxy = await startProxyOn(
      this.#t,
      { folder: this.folder, netnsFolder },
      {
        ...(by && { by }),
        set: [
          'limits.timeout_drain=100ms',
          'poll_interval=1s',
          `served_scopes.sockets=${JSON.stringify([this.file('scopes.sock')])}`,
          ...set,
        ],
      },
    )
  }

  /** Lets the proxy find a namespace under a name of Neutron's. */
  name(netns: string, neutronName: string): void {
    symlinkSync(`/run/netns/${netns}`, join(this.file('netns'), neutronName))
  }

  adminOf(daemon: Daemon): string {
    return daemon === 'agent' ? this.sockets.admin : this.proxy.adminSocket
  }

  /** One request of the guest. @returns the first line of the answer */
  async ask(): Promise<string> {
    const { stdout } = await fetchFrom(this.guest, '/openstack/latest/meta_data.json')
    return stdout.split('\r\n')[0] ?? ''
  }

  async report(daemon: Daemon): Promise<HealthReport> {
    return (await requestAdminJson(this.adminOf(daemon), '/ready')).value as HealthReport
  }

  /** Resolves when both daemons report nothing, or nothing but some codes. */
  async untilWell(...besides: readonly string[]): Promise<void> {
    await until('both are ready', async () => {
      const all = await Promise.all([this.report('proxy'), this.report('agent')])
      return all.every(({ problems }) => problems.every(({ code }) => besides.includes(code)))
    })
  }

  async untilProblem(daemon: Daemon, code: string): Promise<HealthReport> {
    let last: HealthReport | undefined
    await until(`${daemon} reports ${code}`, async () => {
      last = await this.report(daemon)
      return last.problems.some((one) => one.code === code)
    }).catch((cause: unknown) => {
      throw new Error(`${String(cause)}: ${JSON.stringify(last)}`, { cause })
    })
    return last as HealthReport
  }

  /** A command of `overlapd`, as an operator would call it. */
  async command(...argv: readonly string[]): Promise<Said> {
    const terminal = new FakeTerminal({ PATH: process.env['PATH'] })
    const sockets = ['--proxy', this.proxy.adminSocket, '--agent', this.sockets.admin]
    const exitCode = await runProgram(operatorProgram(), [...argv, ...sockets], terminal)
    return { exitCode, out: terminal.written().out }
  }

  async doctor(): Promise<{ readonly exitCode: number; readonly findings: readonly Finding[] }> {
    const { exitCode, out } = await this.command(
      'doctor',
      '--json',
      '--netns',
      this.file('netns'),
      '--config',
      this.file('none.yaml'),
    )
    return { exitCode, findings: (JSON.parse(out) as { findings: readonly Finding[] }).findings }
  }

  async audit(): Promise<{ readonly exitCode: number; readonly findings: readonly Finding[] }> {
    const { exitCode, out } = await this.command('audit', '--json')
    return { exitCode, findings: (JSON.parse(out) as { findings: readonly Finding[] }).findings }
  }

  async metrics(daemon: Daemon): Promise<string> {
    return (await requestAdmin(this.adminOf(daemon), '/metrics')).body
  }

  log(daemon: Daemon): string {
    return daemon === 'agent' ? this.agent.log : this.proxy.log()
  }
}

/** Asks again and again. @throws Error when it is not so after ten seconds and more */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await isSo().catch(() => false)) return
    await new Promise((resolve) => {
      setTimeout(resolve, 50)
    })
  }
  throw new Error(`It did not come to "${what}"`)
}
