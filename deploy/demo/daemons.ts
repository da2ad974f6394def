import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { requestAdminJson } from '../../lib/http/admin-client.ts'

const buildFolder = join(import.meta.dirname, '..', '..')
const pollPause: Milliseconds = 20
const stopPatience: Milliseconds = 8_000
const shownLogBytes = 4_000

/** A program of ours to start for the demo. */
export interface DaemonPlan {
  readonly name: string
  /** Path inside the build: `proxy/main.js`. */
  readonly program: string
  readonly arguments: readonly string[]
  /** Of Node itself. @default none */
  readonly nodeOptions?: readonly string[]
  readonly logFile: string
  /** Admin socket that reports when it is ready; absent: `probe` finds that out. */
  readonly adminSocket?: string
  readonly probe?: () => Promise<boolean>
  readonly runAs?: { readonly uid: number; readonly gid: number }
}

/** A running child of the demo. */
export class Daemon {
  readonly name: string
  readonly #child: ChildProcess
  readonly #plan: DaemonPlan
  #isStopping = false

  private constructor(plan: DaemonPlan, child: ChildProcess) {
    this.name = plan.name
    this.#plan = plan
    this.#child = child
  }

  static start(plan: DaemonPlan, environment: NodeJS.ProcessEnv): Daemon {
    const log = openSync(plan.logFile, 'a')
    const program = [...(plan.nodeOptions ?? []), join(buildFolder, plan.program)]
    const child = spawn(process.execPath, [...program, ...plan.arguments], {
      stdio: ['ignore', log, log],
      env: { PATH: environment['PATH'] },
      // Ctrl-C reaches the whole foreground group; the daemons are stopped in order by us instead.
      detached: true,
      ...plan.runAs,
    })
    closeSync(log)
    child.on('error', () => undefined)
    return new Daemon(plan, child)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get #ended(): boolean {
    return (
      this.#child.pid === undefined ||
      this.#child.exitCode !== null ||
      this.#child.signalCode !== null
    )
  }

  /** @throws Error with the end of its log when it ends first or is not ready in time */
  async ready(patience: Milliseconds): Promise<void> {
    const limit = AbortSignal.timeout(patience)
    while (!(await this.#isReady())) {
      if (this.#ended) throw new Error(`Cannot start ${this.name}: it ended${this.#logEnd()}`)
      if (limit.aborted) {
        throw new Error(
          `Cannot start ${this.name}: not ready after ${patience / 1000} s${this.#logEnd()}`,
        )
      }
      await new Promise((resolve) => {
        setTimeout(resolve, pollPause)
      })
    }
  }

  async #isReady(): Promise<boolean> {
    if (this.#ended) return false
    const { adminSocket, probe } = this.#plan
    if (adminSocket === undefined) return (await probe?.()) ?? true
    try {
      return (await requestAdminJson(adminSocket, '/ready')).status === 200
    } catch {
      return false
    }
  }

  #logEnd(): string {
    const text = readFileSync(this.#plan.logFile, 'utf8').trim()
    return text === '' ? '' : `; its log ends with\n${text.slice(-shownLogBytes)}`
  }

  /** Resolves when it ends without having been stopped, with what is known of that. */
  async failure(): Promise<string> {
    if (!this.#ended) await once(this.#child, 'exit')
    if (this.#isStopping) return new Promise(() => undefined)
    const how = this.#child.signalCode ?? `exit code ${String(this.#child.exitCode)}`
    return `${this.name} ended (${how})${this.#logEnd()}`
  }

  /** Sends SIGTERM, and SIGKILL when it does not end. */
  async stop(): Promise<void> {
    this.#isStopping = true
    if (this.#ended) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopPatience)
    await ended
    clearTimeout(timer)
  }
}
