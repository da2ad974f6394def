import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const schema = '/usr/share/ovn/ovn-sb.ovsschema'
const database = 'OVN_Southbound'
const program = 'ovsdb-server'

/** OVN's southbound database on a raft cluster of three real ovsdb-servers, on UNIX sockets in a folder of its own. */
export class OvsdbCluster {
  readonly #folder: string
  readonly #members: ChildProcess[] = []
  readonly #stopped = new Set<number>()

  static async start(): Promise<OvsdbCluster> {
    const cluster = new OvsdbCluster(await mkdtemp(join(tmpdir(), 'ovt-raft-')))
    const raft = (member: number): string => `unix:${cluster.#file(member, 'raft')}`
    await run('ovsdb-tool', ['create-cluster', cluster.#file(0, 'db'), schema, raft(0)])
    for (const member of [0, 1, 2]) {
      if (member > 0) {
        const args = ['join-cluster', cluster.#file(member, 'db'), database, raft(member), raft(0)]
        await run('ovsdb-tool', args)
      }
      cluster.#spawn(member)
      const wait = ['--timeout=30', 'wait', cluster.endpoint(member), database, 'connected']
      await run('ovsdb-client', wait)
    }
    return cluster
  }

  constructor(folder: string) {
    this.#folder = folder
  }

  endpoint(member: number): string {
    return `unix:${this.#file(member, 'sock')}`
  }

  get endpoints(): readonly string[] {
    return [0, 1, 2].map((member) => this.endpoint(member))
  }

  /** Which member leads, as the ones that run say; asks until one of them does. */
  async leader(): Promise<number> {
    for (;;) {
      for (const member of [0, 1, 2].filter((one) => !this.#stopped.has(one))) {
        const ctl = this.#file(member, 'ctl')
        const args = ['-t', ctl, 'cluster/status', database]
        const { stdout } = await run('ovs-appctl', args, { timeout: 10_000 })
        if (/^Role: leader$/m.test(stdout)) return member
      }
    }
  }

  /** Stops a member without a word to anybody, as a machine that hangs. */
  freeze(member: number): void {
    this.#stopped.add(member)
    this.#members[member]?.kill('SIGSTOP')
  }

  /** Runs operations as one transaction on the cluster, over a member. */
  async transact(member: number, ...operations: readonly unknown[]): Promise<void> {
    const text = JSON.stringify([database, ...operations])
    const { stdout } = await run('ovsdb-client', [
      '--timeout=30',
      'transact',
      this.endpoint(member),
      text,
    ])
    if (stdout.includes('"error"')) throw new Error(stdout)
  }

  async close(): Promise<void> {
    for (const member of this.#members) {
      if (member.exitCode !== null) continue
      const ended = new Promise((resolve) => member.once('exit', resolve))
      member.kill('SIGKILL')
      await ended
    }
    await rm(this.#folder, { recursive: true, force: true })
  }

  #file(member: number, kind: string): string {
    return join(this.#folder, `${member}.${kind}`)
  }

  #spawn(member: number): void {
    const environment = { ...process.env, OVN_RUNDIR: this.#folder, OVS_RUNDIR: this.#folder }
    const child = spawn(
      program,
      [
        `--remote=punix:${this.#file(member, 'sock')}`,
        `--unixctl=${this.#file(member, 'ctl')}`,
        '--log-file=/dev/null',
        '-vconsole:off',
        this.#file(member, 'db'),
      ],
      { stdio: 'ignore', env: environment },
    )
    this.#members[member] = child
  }
}
