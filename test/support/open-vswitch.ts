/** How do tests get a real Open vSwitch and a real ovn-controller of their own, and leave nothing behind? */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const schema = '/usr/share/openvswitch/vswitch.ovsschema'
const programs = ['ovsdb-server', 'ovsdb-tool', 'ovs-vswitchd', 'ovs-vsctl', 'ovs-appctl']

function missingOf(names: readonly string[]): readonly string[] {
  const folders = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin']
  return names.filter((name) => !folders.some((folder) => existsSync(join(folder, name))))
}

/** @returns what of Debian's openvswitch-switch and ovn-host is missing here, or `undefined` */
export function whyNoOpenVswitch(): string | undefined {
  const missing = missingOf([...programs, 'ovn-controller'])
  if (missing.length > 0) {
    return `not installed: ${missing.join(', ')} (Debian: openvswitch-switch, ovn-host)`
  }
  return existsSync(schema) ? undefined : `no schema ${schema}`
}

export interface OpenVswitchOptions {
  /** The host's name in OVN. */
  readonly systemId: string
  /** Whether ovs-vswitchd runs, with a bridge in user space; otherwise there is the database alone. */
  readonly hasSwitch: boolean
  /** Of OVN, for ovn-controller. */
  readonly southbound?: string
}

/** A host's Open vSwitch, in a folder of its own, on UNIX sockets. */
export class OpenVswitch {
  readonly bridge = `ovb${randomBytes(4).toString('hex')}`
  readonly #folder: string
  readonly #processes = new Map<string, ChildProcess>()

  static async start(options: OpenVswitchOptions): Promise<OpenVswitch> {
    const made = new OpenVswitch(await mkdtemp(join(tmpdir(), 'ovt-ovs-')))
    await made.#start(options)
    return made
  }

  constructor(folder: string) {
    this.#folder = folder
  }

  file(name: string): string {
    return join(this.#folder, name)
  }

  get endpoint(): string {
    return `unix:${this.file('db.sock')}`
  }

  async #start({ systemId, hasSwitch, southbound }: OpenVswitchOptions): Promise<void> {
    await run('ovsdb-tool', ['create', this.file('conf.db'), schema])
    await this.startDatabase()
    const ids: Record<string, string> = {
      'system-id': systemId,
      hostname: systemId,
      'ovn-bridge': this.bridge,
      'ovn-encap-type': 'geneve',
      'ovn-encap-ip': '127.0.0.1',
      'ovn-bridge-datapath-type': 'netdev',
      ...(southbound !== undefined && { 'ovn-remote': southbound }),
    }
    await this.#vsctl('--no-wait', 'init')
    const settings = Object.entries(ids).map(([key, value]) => `external_ids:${key}="${value}"`)
    await this.#vsctl('--no-wait', 'set', 'Open_vSwitch', '.', ...settings)
    if (hasSwitch) {
      this.#spawn('switch', 'ovs-vswitchd', [this.endpoint, ...this.#control('switch')])
    }
    const bridge = ['--', 'set', 'Bridge', this.bridge, 'datapath_type=netdev', 'fail_mode=secure']
    await this.#vsctl(...(hasSwitch ? [] : ['--no-wait']), 'add-br', this.bridge, ...bridge)
    if (southbound !== undefined) {
      this.#spawn('controller', 'ovn-controller', [this.endpoint, this.#logOption('controller')])
    }
  }

  async startDatabase(): Promise<void> {
    const socket = `--remote=p${this.endpoint}`
    this.#spawn('database', 'ovsdb-server', [
      this.file('conf.db'),
      socket,
      ...this.#control('database'),
    ])
    await run('ovsdb-client', ['--timeout=20', 'wait', this.endpoint, 'Open_vSwitch', 'connected'])
  }

  async stopDatabase(): Promise<void> {
    await this.#stop('database')
  }

  /** Runs `ovs-vsctl`; with a switch it returns when the switch has done it. */
  async vsctl(...words: readonly string[]): Promise<string> {
    const noWait = this.#processes.has('switch') ? [] : ['--no-wait']
    return await this.#vsctl(...noWait, ...words)
  }

  /** Switches frames as a learning switch does, whatever nobody says about flows. */
  async switchNormally(): Promise<void> {
    await run('ovs-ofctl', [
      'add-flow',
      `unix:${this.file(`${this.bridge}.mgmt`)}`,
      'actions=NORMAL',
    ])
  }

  /** What the programs have logged. */
  async log(name: 'switch' | 'controller' | 'database'): Promise<string> {
    return await readFile(this.file(`${name}.log`), 'utf8')
  }

  async close(): Promise<void> {
    await this.#stop('controller')
    await this.#stop('switch')
    await this.#stop('database')
    // The bridge's own interface outlives the switch.
    await run('ip', ['link', 'delete', this.bridge]).catch(() => undefined)
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #vsctl(...words: readonly string[]): Promise<string> {
    const { stdout } = await run('ovs-vsctl', [`--db=${this.endpoint}`, '--timeout=20', ...words])
    return stdout.trim()
  }

  #control(name: string): string[] {
    return [`--unixctl=${this.file(`${name}.ctl`)}`, this.#logOption(name)]
  }

  #logOption(name: string): string {
    return `--log-file=${this.file(`${name}.log`)}`
  }

  async #stop(name: string): Promise<void> {
    const child = this.#processes.get(name)
    this.#processes.delete(name)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }

  #spawn(name: string, program: string, words: readonly string[]): void {
    const folders = { OVN_RUNDIR: this.#folder, OVS_RUNDIR: this.#folder }
    const child = spawn(program, [...words, '-vconsole:off'], {
      stdio: 'ignore',
      env: { ...process.env, ...folders, OVS_DBDIR: this.#folder, OVS_LOGDIR: this.#folder },
    })
    this.#processes.set(name, child)
  }
}
