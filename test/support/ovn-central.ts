import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const schemas = '/usr/share/ovn'
const wanted = [
  'ovsdb-server',
  'ovsdb-tool',
  'ovsdb-client',
  'ovn-northd',
  'ovn-nbctl',
  'ovs-appctl',
]

/**
 * @returns what of Debian's ovn-central is missing here, or `undefined`
 * @throws Error instead, where `OVERLAPD_TEST_REQUIRE_OPENSTACK=1` says that a skip would hide something
 */
export function whyNoOvnCentral(): string | undefined {
  const folders = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin']
  const missing = wanted.filter((name) => !folders.some((folder) => existsSync(join(folder, name))))
  const reason =
    missing.length > 0
      ? `not installed: ${missing.join(', ')} (Debian: ovn-central)`
      : existsSync(join(schemas, 'ovn-sb.ovsschema'))
        ? undefined
        : `no schema in ${schemas}`
  if (reason !== undefined && process.env['OVERLAPD_TEST_REQUIRE_OPENSTACK'] === '1') {
    throw new Error(reason)
  }
  return reason
}

/** OVN's own databases and northd, in a folder of their own, on UNIX sockets. */
export class OvnCentral {
  readonly #folder: string
  readonly #processes = new Map<string, ChildProcess>()

  static async start(): Promise<OvnCentral> {
    const central = new OvnCentral(await mkdtemp(join(tmpdir(), 'ovt-ovn-')))
    for (const name of ['nb', 'sb'] as const) {
      const schema = join(schemas, `ovn-${name}.ovsschema`)
      const file = central.file(`${name}.db`)
      // A cluster of one: only clustered databases remember transactions to resume from.
      await run('ovsdb-tool', [
        'create-cluster',
        file,
        schema,
        `unix:${central.file(`${name}.raft`)}`,
      ])
      await central.startDatabase(name)
    }
    central.#spawn('northd', 'ovn-northd', [
      `--ovnnb-db=unix:${central.file('nb.sock')}`,
      `--ovnsb-db=unix:${central.file('sb.sock')}`,
      `--unixctl=${central.file('northd.ctl')}`,
    ])
    return central
  }

  constructor(folder: string) {
    this.#folder = folder
  }

  file(name: string): string {
    return join(this.#folder, name)
  }

  get southbound(): string {
    return `unix:${this.file('sb.sock')}`
  }

  /** Starts ovsdb-server on the socket of `name`, with another database if one is named. */
  async startDatabase(name: 'nb' | 'sb', database = `${name}.db`): Promise<void> {
    const socket = this.file(`${name}.sock`)
    this.#spawn(name, 'ovsdb-server', [
      `--remote=punix:${socket}`,
      `--unixctl=${this.file(`${name}.ctl`)}`,
      this.file(database),
    ])
    const served = database.startsWith('nb') ? 'OVN_Northbound' : 'OVN_Southbound'
    await run('ovsdb-client', ['--timeout=20', 'wait', `unix:${socket}`, served, 'connected'])
  }

  /** Starts a relay of the southbound database. @returns its endpoint */
  async startRelay(): Promise<string> {
    const endpoint = `unix:${this.file('relay.sock')}`
    this.#spawn('relay', 'ovsdb-server', [
      `--remote=p${endpoint}`,
      `--unixctl=${this.file('relay.ctl')}`,
      `relay:OVN_Southbound:${this.southbound}`,
    ])
    await run('ovsdb-client', ['--timeout=20', 'wait', endpoint, 'OVN_Southbound', 'connected'])
    return endpoint
  }

  async stop(name: 'nb' | 'sb' | 'northd' | 'relay'): Promise<void> {
    const process = this.#processes.get(name)
    this.#processes.delete(name)
    if (process === undefined || process.exitCode !== null) return
    const ended = new Promise((resolve) => process.once('exit', resolve))
    process.kill('SIGTERM')
    await ended
  }

  async nbctl(args: readonly string[]): Promise<string> {
    const { stdout } = await run('ovn-nbctl', [
      `--db=unix:${this.file('nb.sock')}`,
      '--timeout=20',
      ...args,
    ])
    return stdout.trim()
  }

  async sbctl(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('ovn-sbctl', [`--db=${this.southbound}`, '--timeout=20', ...args])
    return stdout.trim()
  }

  async appctl(name: 'nb' | 'sb' | 'relay', ...args: readonly string[]): Promise<void> {
    await run('ovs-appctl', ['-t', this.file(`${name}.ctl`), ...args])
  }

  /** Converts the southbound database to a schema; the installed one is a conversion too. */
  async convert(): Promise<void> {
    const schema = join(schemas, 'ovn-sb.ovsschema')
    await run('ovsdb-client', ['--timeout=20', 'convert', this.southbound, schema])
  }

  async close(): Promise<void> {
    await this.stop('relay')
    await this.stop('northd')
    await this.stop('nb')
    await this.stop('sb')
    await rm(this.#folder, { recursive: true, force: true })
  }

  #spawn(name: string, program: string, args: readonly string[]): void {
    const environment = { ...process.env, OVN_RUNDIR: this.#folder, OVS_RUNDIR: this.#folder }
    const options = { stdio: 'ignore' as const, env: environment }
    const child = spawn(program, [...args, '--log-file=/dev/null', '-vconsole:off'], options)
    this.#processes.set(name, child)
  }
}
