import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { serveApp, type ListenAt, type Serving } from '../../lib/http/serve.ts'
import type { Part } from '../../lib/runtime/lifecycle.ts'
import type { AgentConfig } from '../config/config.ts'
import type { createAgentAdminApp } from './admin-app.ts'

/** The admin app on its sockets: first up and last down, so that a start that hangs can be looked into. */
export class AdminPart implements Part {
  readonly name = 'admin'
  readonly #config: AgentConfig['admin']
  readonly #untilFree: () => Promise<void>
  readonly #app: ReturnType<typeof createAgentAdminApp>
  #serving: Serving | undefined

  constructor(
    config: AgentConfig['admin'],
    untilFree: () => Promise<void>,
    app: ReturnType<typeof createAgentAdminApp>,
  ) {
    this.#config = config
    this.#untilFree = untilFree
    this.#app = app
  }

  get addresses(): readonly string[] {
    return this.#serving?.addresses ?? []
  }

  async start(): Promise<void> {
    const { socket, mode, tcp } = this.#config
    mkdirSync(dirname(socket), { recursive: true, mode: 0o755 })
    await this.#untilFree()
    const listen: ListenAt[] = [{ socket, mode }]
    if (tcp !== undefined) listen.push({ host: tcp.address, tcpPort: tcp.tcpPort })
    this.#serving = await serveApp({ app: this.#app, listen })
  }

  async close(): Promise<void> {
    await this.#serving?.close()
  }
}
