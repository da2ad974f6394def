import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { composeAgent, type Agent } from '../../agent-side/compose.ts'
import { agentConfig } from '../../agent-side/config/config.ts'
import type { PortDirectory } from '../../agent-side/ports/directory/port-directory.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { requestAdmin, requestAdminJson } from '../../lib/http/admin-client.ts'
import { Lifecycle } from '../../lib/runtime/lifecycle.ts'
import { createLogger } from '../../lib/runtime/log.ts'
import { testsDirectForwarding } from './forwarding-mode.ts'
import { RawConnection, type RawAnswer } from './raw-http.ts'
import { scratchFolder } from './scratch-folder.ts'

export interface StartAgentOptions {
  readonly clock: Clock
  /** @default the one that the configuration names */
  readonly directory?: PortDirectory
  readonly upstreams: readonly string[]
  /** @default 's3cr3t' */
  readonly secret?: string
  readonly nextSecret?: string
  /** Sections of the configuration that replace the usual ones; `compute` is merged. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** Fields of a request, each one line. */
export type Fields = readonly (readonly [name: string, value: string])[]

/** An agent of this process on sockets in a folder of its own. */
export class RunningAgent {
  readonly agent: Agent
  readonly folder: string
  /** Every line of its log. */
  readonly log: Record<string, unknown>[]

  constructor(agent: Agent, folder: string, log: Record<string, unknown>[]) {
    this.agent = agent
    this.folder = folder
    this.log = log
  }

  get admin(): string {
    return join(this.folder, 'admin.sock')
  }

  /** The socket of a listener: `overlapd`, `ml2` or `ovn`. */
  socketOf(listener: 'overlapd' | 'ml2' | 'ovn'): string {
    return join(this.folder, `${listener}.sock`)
  }

  async connect(listener: 'overlapd' | 'ml2' | 'ovn' = 'overlapd'): Promise<RawConnection> {
    return RawConnection.over(connect(this.socketOf(listener)))
  }

  /** One request on a connection of its own. */
  async ask(
    target: string,
    fields: Fields,
    options: {
      readonly listener?: 'overlapd' | 'ml2' | 'ovn'
      readonly method?: string
      readonly body?: string
    } = {},
  ): Promise<RawAnswer | undefined> {
    const { listener = 'overlapd', method = 'GET', body } = options
    const connection = await this.connect(listener)
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const length = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`
    void connection.write(
      `${method} ${target} HTTP/1.1\r\nHost: x\r\n${lines}${length}\r\n${body ?? ''}`,
    )
    const answer = await connection.answer({ isHead: method === 'HEAD' })
    connection.close()
    return answer
  }

  async json(path: string): Promise<unknown> {
    return (await requestAdminJson(this.admin, path)).value
  }

  async text(path: string): Promise<string> {
    return (await requestAdmin(this.admin, path)).body
  }
}

/** Starts an agent that is configured as an operator would do it, and closes it with the test. */
export async function startAgent(t: Test, options: StartAgentOptions): Promise<RunningAgent> {
  const folder = scratchFolder(t)
  const { clock, directory, upstreams, secret = 's3cr3t', nextSecret } = options
  writeFileSync(join(folder, 'secret'), secret, { mode: 0o600 })
  if (nextSecret !== undefined) writeFileSync(join(folder, 'next'), nextSecret, { mode: 0o600 })
  const { compute, ...rest } = options.config ?? {}
  const document = {
    listeners: [
      { kind: 'overlapd', socket: 'overlapd.sock', mode: '0600' },
      { kind: 'neutron', flavour: 'ml2', socket: 'ml2.sock', mode: 'user' },
      { kind: 'neutron', flavour: 'ovn', socket: 'ovn.sock', mode: 'user' },
    ],
    ports: { kind: 'static', static: { file: 'unused.yaml' } },
    compute: {
      upstreams,
      shared_secret_file: 'secret',
      // A test that stops compute means it, and its clock may stand still.
      timeout_restart: '0s',
      // What compute got is counted.
      probe_interval: '0s',
      ...(nextSecret !== undefined && { next_shared_secret_file: 'next' }),
      ...(compute as object | undefined),
    },
    admin: { socket: 'admin.sock' },
    log: { level: 'debug' },
    limits: { timeout_drain: '100ms' },
    ...(testsDirectForwarding() &&
      rest['source_mac'] !== 'off' && {
        leases: { enabled: true, socket: 'lease.sock', mode: '0600' },
      }),
    ...rest,
  }
  const file = join(folder, 'agent.yaml')
  writeFileSync(file, JSON.stringify(document))
  const { config } = loadConfig(agentConfig.table, {
    file,
    environment: {},
    environmentPrefix: agentConfig.environmentPrefix,
    check: (config) => agentConfig.check?.(config) ?? [],
  })
  const log: Record<string, unknown>[] = []
  const destination = {
    write: (line: string) => void log.push(JSON.parse(line) as Record<string, unknown>),
  }
  const logger = createLogger({ component: 'agent', level: 'debug', destination })
  const agent = await composeAgent(config, {
    clock,
    logger,
    environment: {},
    ...(directory !== undefined && { directory }),
  })
  const lifecycle = new Lifecycle({ logger, clock, closeLimit: 5_000 })
  t.teardown(() => lifecycle.close())
  await lifecycle.start(agent.parts)
  return new RunningAgent(agent, folder, log)
}
