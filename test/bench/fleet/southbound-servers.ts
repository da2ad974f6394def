/** Real ovsdb-servers for a fleet: the southbound database, and a relay in front of it. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cpuTimeOf, pssOf } from '../process-figures.ts'

const run = promisify(execFile)
const database = 'OVN_Southbound'
/** A million ports take minutes to be read on a small machine. */
const longestStart = 1_800

/** One server, which can be stopped and started again. */
export class SouthboundServer {
  readonly endpoint: string
  readonly #control: string
  readonly #served: string
  #child: ChildProcess | undefined
  /** Of processes that have ended. */
  #spent = 0
  #startSeconds = 0

  /** @param served a file, or `relay:…` */
  constructor(folder: string, name: string, served: string) {
    this.endpoint = `unix:${join(folder, `${name}.sock`)}`
    this.#control = join(folder, `${name}.ctl`)
    this.#served = served
  }

  /** Seconds of CPU since it was made. */
  get cpuSeconds(): number {
    const pid = this.#child?.pid
    return this.#spent + (pid === undefined ? 0 : cpuTimeOf(pid) / 1_000)
  }

  /** What it took to read the database, when it was started last. */
  get lastStartCpuSeconds(): number {
    return this.#startSeconds
  }

  get memoryMiB(): number {
    const pid = this.#child?.pid
    return pid === undefined ? 0 : pssOf(pid)
  }

  async start(): Promise<void> {
    const control = ['--log-file=/dev/null', '-vconsole:off', `--unixctl=${this.#control}`]
    const args = [`--remote=p${this.endpoint}`, ...control, this.#served]
    this.#child = spawn('ovsdb-server', args, { stdio: 'ignore' })
    const wait = [`--timeout=${longestStart}`, 'wait', this.endpoint, database, 'connected']
    await run('ovsdb-client', wait)
    this.#startSeconds = cpuTimeOf(this.#child.pid ?? 0) / 1_000
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null) return
    this.#spent = this.cpuSeconds
    this.#child = undefined
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    await rm(this.endpoint.slice('unix:'.length), { force: true })
  }

  async transact(...operations: readonly unknown[]): Promise<void> {
    const text = JSON.stringify([database, ...operations])
    const { stdout } = await run('ovsdb-client', ['--timeout=120', 'transact', this.endpoint, text])
    if (stdout.includes('"error"')) throw new Error(stdout.slice(0, 500))
  }
}

/** What a relay of the server serves. */
export function relayOf({ endpoint }: SouthboundServer): string {
  return `relay:${database}:${endpoint}`
}

/** Makes a standalone database a cluster of one: only clustered ones remember transactions to resume from. */
export async function clusteredFile(standalone: string, file: string): Promise<void> {
  await run('ovsdb-tool', ['create-cluster', file, standalone, `unix:${file}.raft`])
}
