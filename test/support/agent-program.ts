/** How do tests get the built agent as a process, which they can stop, kill and start again? */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requestAdmin } from '../../lib/http/admin-client.ts'

const agentProgram = fileURLToPath(new URL('../../dist/agent-side/main.js', import.meta.url))

/** Where an agent's sockets are, in a folder that workers may enter. */
export interface AgentSockets {
  readonly agent: string
  readonly lease: string
  readonly admin: string
}

export function agentSocketsIn(folder: string): AgentSockets {
  return {
    agent: join(folder, 'agent.sock'),
    lease: join(folder, 'lease.sock'),
    admin: join(folder, 'agent-admin.sock'),
  }
}

export interface AgentProgramOptions {
  readonly sockets: AgentSockets
  /** Where its configuration is written. */
  readonly configFile: string
  /** Sections of the configuration; listeners and the admin socket are there already. */
  readonly config: Readonly<Record<string, unknown>>
  /** As words for env(1): it gets no other. */
  readonly environment?: readonly string[]
}

/** One process of the agent. */
export class AgentProgram {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #hasEnded = false
  #log = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    // With that of its output, or the last lines of its log are missing.
    this.#ended = once(child, 'close')
    child.once('close', () => (this.#hasEnded = true))
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#log += text))
    }
  }

  /** Starts it and waits until it says that it is ready. */
  static async start(options: AgentProgramOptions): Promise<AgentProgram> {
    const agent = AgentProgram.spawn(options)
    await agent.untilReady(options.sockets)
    return agent
  }

  /** Starts it and does not wait. */
  static spawn({
    sockets,
    configFile,
    config,
    environment = [],
  }: AgentProgramOptions): AgentProgram {
    const whole = {
      listeners: [{ kind: 'overlapd', socket: sockets.agent, mode: 'all' }],
      rate_limit: { enabled: false },
      admin: { socket: sockets.admin },
      ...config,
      // What compute got is counted.
      compute: { probe_interval: '0s', ...(config['compute'] as object | undefined) },
    }
    writeFileSync(configFile, JSON.stringify(whole))
    // By way of env, or the test runner adds its own loaders to the program.
    const words = [
      '-i',
      ...environment,
      process.execPath,
      agentProgram,
      'serve',
      '--config',
      configFile,
    ]
    return new AgentProgram(spawn('env', words, { stdio: ['ignore', 'pipe', 'pipe'] }))
  }

  async untilReady({ admin }: AgentSockets): Promise<void> {
    for (let tries = 0; tries < 1_500 && this.isRunning; tries += 1) {
      const ready = await requestAdmin(admin, '/ready').catch(() => undefined)
      if (ready?.status === 200) return
      await new Promise((resolve) => {
        setTimeout(resolve, 20)
      })
    }
    await this.stop()
    throw new Error(`The agent is not ready: ${this.#log}`)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return !this.#hasEnded
  }

  /** What it has written, all of it. */
  get log(): string {
    return this.#log
  }

  /** Sends a signal that does not end it. */
  signal(name: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(name)
  }

  /** Ends it and waits for that. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.isRunning) return
    this.#child.kill(signal)
    await this.#ended
  }
}
