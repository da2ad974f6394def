/** How do tests get overlapd's own programs, run as an operator would run them? */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { AgentStatus } from '../../lib/operator/api/agent-api.ts'
import { requestAdmin, requestAdminJson } from '../../lib/http/admin-client.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { uniqueName } from '../support/netns.ts'
import type { Cloud } from './cloud.ts'
import { moment } from './daemon.ts'
import type { GuestNetworks } from './guest-networks.ts'
import { ownedLikeUs } from './owner.ts'
import { projectRoot, urlOf, type Place } from './place.ts'
import { hostName } from './services/host-name.ts'
import { transportUrl } from './services/rabbitmq.ts'

/** The user without privileges that the agent and the proxy's workers are. */
export const nobody = { uid: 65_534, gid: 65_534 }
const readyPatience: Milliseconds = 60_000

interface ProgramOptions {
  /** The configuration file. */
  readonly yaml: string
  /** Further words of the command line. */
  readonly words?: readonly string[]
  readonly environment?: Readonly<Record<string, string>> | undefined
  readonly runAs?: typeof nobody
}

/** The built program. @throws Error where there is none */
function entryOf(program: string): string {
  const entry = join(projectRoot, 'dist', program)
  if (!existsSync(entry)) throw new Error('dist/ is missing: run "npm run build" first')
  return entry
}

/** Of overlapd-agent. */
export function agentEntry(): string {
  return entryOf('agent-side/main.js')
}

/** One of our daemons with a folder of its own. */
class Program {
  readonly folder: string
  readonly adminSocket: string
  readonly #child: ChildProcess
  readonly #log: string
  readonly #leave = (): void => void this.#child.kill('SIGTERM')

  constructor(folder: string, entry: string, options: ProgramOptions) {
    this.folder = folder
    this.adminSocket = join(folder, 'admin.sock')
    this.#log = join(folder, 'log')
    const config = join(folder, 'config.yaml')
    writeFileSync(config, options.yaml)
    const log = openSync(this.#log, 'a')
    const words = ['serve', '--config', config, ...(options.words ?? [])]
    this.#child = spawn(process.execPath, [entry, ...words], {
      stdio: ['ignore', log, log],
      cwd: folder,
      env: { ...ownedLikeUs(), ...options.environment },
      ...options.runAs,
    })
    closeSync(log)
    // A test that breaks runs no teardown.
    process.once('exit', this.#leave)
  }

  log(): string {
    return readFileSync(this.#log, 'utf8')
  }

  async readiness(): Promise<HealthReport> {
    return (await requestAdminJson(this.adminSocket, '/ready')).value as HealthReport
  }

  /** The value of a metric, spelled with its labels: `overlapd_proxy_leases`. @returns 0 where it is not there */
  async metric(name: string): Promise<number> {
    const { body } = await requestAdmin(this.adminSocket, '/metrics')
    const line = body.split('\n').find((one) => one.startsWith(`${name} `))
    return Number(line?.slice(name.length) ?? 0)
  }

  /** Looks until it is so. @throws Error with the daemon's log */
  async until(what: string, isSo: () => Promise<boolean>, patience = readyPatience): Promise<void> {
    const limit = Date.now() + patience
    while (!(await isSo().catch(() => false))) {
      if (this.#child.exitCode !== null || Date.now() > limit) {
        throw new Error(`It did not come to "${what}":\n${this.log().slice(-4_000)}`)
      }
      await moment(20)
    }
  }

  async untilReady(): Promise<void> {
    await this.until('ready', async () => (await this.readiness()).ready)
  }

  async stop(): Promise<void> {
    process.removeListener('exit', this.#leave)
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await ended
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** What came back from an agent. */
export interface AgentAnswer {
  readonly status: number
  readonly reason: string | undefined
  readonly retryAfter: string | undefined
  readonly body: string
}

/** Which instance an answer of the telling compute API names. @see telling-compute.ts */
export function instanceIn(answer: AgentAnswer): string | undefined {
  if (answer.status !== 200) return undefined
  return (JSON.parse(answer.body) as { readonly uuid: string }).uuid
}

/** A running overlapd-agent with a listener of each kind. */
export class OurAgent extends Program {
  socketOf(listener: 'overlapd' | 'ml2' | 'ovn'): string {
    return join(this.folder, `${listener}.sock`)
  }

  async status(): Promise<AgentStatus> {
    return (await requestAdminJson(this.adminSocket, '/status')).value as AgentStatus
  }

  /** One request as a proxy would send it. */
  ask(
    listener: 'overlapd' | 'ml2' | 'ovn',
    headers: Readonly<Record<string, string>>,
    path = '/openstack/latest/meta_data.json',
  ): Promise<AgentAnswer> {
    return new Promise((resolve, reject) => {
      const socketPath = this.socketOf(listener)
      const sent = request({ socketPath, path, headers, agent: false }, (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () => {
          const { statusCode: status = 0 } = answer
          const field = (name: string): string | undefined => answer.headers[name]?.toString()
          const body = Buffer.concat(chunks).toString()
          const reason = field('x-overlapd-reason')
          resolve({ status, reason, retryAfter: field('retry-after'), body })
        })
      })
      sent.on('error', reject)
      sent.end()
    })
  }
}

export interface AgentOptions {
  /** The `ports` section. */
  readonly ports: object
  /** @default Nova behind uWSGI */
  readonly upstreams?: readonly string[]
  /** @default Nova's */
  readonly secret?: string
  /** Further options of the `compute` section. */
  readonly compute?: object
  /** Beside those on UNIX sockets. */
  readonly listeners?: readonly object[]
  /** Further sections. */
  readonly sections?: Readonly<Record<string, object>>
  /** The variables of its environment. */
  readonly environment?: Readonly<Record<string, string>>
}

/** Starts overlapd-agent as an unprivileged user; it ends with the test. {@link Program.untilReady} waits for it. */
export function startAgent(t: Test, place: Place, options: AgentOptions): OurAgent {
  const folder = join(place.folder, uniqueName('agent-'))
  mkdirSync(folder)
  const secretFile = join(folder, 'shared-secret')
  writeFileSync(secretFile, options.secret ?? place.sharedSecret, { mode: 0o600 })
  chownSync(folder, nobody.uid, nobody.gid)
  chownSync(secretFile, nobody.uid, nobody.gid)
  const document = {
    listeners: [
      { kind: 'overlapd', socket: join(folder, 'overlapd.sock'), mode: '0660' },
      { kind: 'neutron', flavour: 'ml2', socket: join(folder, 'ml2.sock'), mode: '0660' },
      { kind: 'neutron', flavour: 'ovn', socket: join(folder, 'ovn.sock'), mode: '0660' },
      ...(options.listeners ?? []),
    ],
    ports: options.ports,
    compute: {
      upstreams: options.upstreams ?? [urlOf(place, 'novaUwsgi')],
      shared_secret_file: secretFile,
      ...options.compute,
    },
    admin: { socket: join(folder, 'admin.sock') },
    ...options.sections,
  }
  const { environment } = options
  // JSON is YAML.
  const yaml = JSON.stringify(document)
  const agent = new OurAgent(folder, agentEntry(), { yaml, environment, runAs: nobody })
  t.teardown(() => agent.stop())
  return agent
}

/**
 * Starts overlapd-agent with the words of its command line, as the user that owns what Neutron's files name.
 * @param write makes the rest of its configuration, in its folder
 */
export function startAgentProgram(
  t: Test,
  place: Place,
  words: readonly string[],
  write: (folder: string) => string = () => '',
): OurAgent {
  const folder = join(place.folder, uniqueName('agent-'))
  mkdirSync(folder)
  const admin = `admin: { socket: ${JSON.stringify(join(folder, 'admin.sock'))} }\n`
  const yaml = `${write(folder)}\n${admin}`
  const agent = new OurAgent(folder, agentEntry(), { yaml, words })
  t.teardown(() => agent.stop())
  return agent
}

/** Starts overlapd-proxy on the namespaces of some guests; it ends with the test, or before by `stop`. */
export async function startProxy(
  t: Test,
  place: Place,
  networks: GuestNetworks,
  agentSocket: string,
  sections: Readonly<Record<string, object>> = {},
): Promise<Program> {
  const folder = join(place.folder, uniqueName('proxy-'))
  mkdirSync(folder)
  chmodSync(folder, 0o755)
  const document = {
    netns_dir: networks.folder,
    agents: [agentSocket],
    admin: { socket: join(folder, 'admin.sock') },
    ...sections,
  }
  const proxy = new Program(folder, entryOf('proxy/main.js'), { yaml: JSON.stringify(document) })
  t.teardown(() => proxy.stop())
  await proxy.untilReady()
  return proxy
}

/** The name under which our agent reports its state to Neutron; Neutron's own one reports under the name of the machine. */
export const reportedHost = 'overlapd-host'

/** A file that the agent's user can read and nobody else. */
export function secretFile(place: Place, name: string, text: string): string {
  const path = join(place.folder, 'state', name)
  writeFileSync(path, text, { mode: 0o600 })
  chownSync(path, nobody.uid, nobody.gid)
  return path
}

/** The `ports` section of each way to find a port; what stands in `own` replaces options. */
export const portsSections = {
  neutronRest: (place: Place, own: object = {}) => ({
    kind: 'neutron-rest',
    neutron_rest: { auth_type: 'none', endpoint: urlOf(place, 'neutron'), ...own },
  }),
  neutronRestWithKeystone: (place: Place, own: object = {}) => ({
    kind: 'neutron-rest',
    neutron_rest: {
      auth_type: 'cloud',
      cloud: 'openstack',
      clouds_file: join(place.folder, 'clouds.yaml'),
      ...own,
    },
  }),
  neutronRestWithCredential: ({ place, keystone }: Cloud) => ({
    kind: 'neutron-rest',
    neutron_rest: {
      auth_type: 'application_credential',
      auth_url: `${urlOf(place, 'keystone')}/v3`,
      application_credential_id: keystone.applicationCredential.id,
      application_credential_secret_file: secretFile(
        place,
        'application-credential',
        keystone.applicationCredential.secret,
      ),
    },
  }),
  neutronRpc: (
    place: Place,
    own: { readonly tcpPort?: number; readonly options?: object } = {},
  ) => ({
    kind: 'neutron-rpc',
    neutron_rpc: {
      transport_url_file: secretFile(
        place,
        uniqueName('transport-url-'),
        transportUrl(place, 'ml2', own.tcpPort),
      ),
      host: reportedHost,
      reconnect_delay_max: '2s',
      ...own.options,
    },
  }),
  ovn: (place: Place, own: object = {}) => ({
    kind: 'ovn',
    ovn: {
      ovn_sb_connection: [`tcp:127.0.0.1:${place.tcpPorts.southbound}`],
      report_agent: true,
      chassis: hostName,
      // Reports are delayed by up to a third of it.
      agent_down_time: '3s',
      ...own,
    },
  }),
} as const
