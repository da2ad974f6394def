import { serveAdmin, type Serving } from '../../lib/http/serve.ts'
import type { Part } from '../../lib/runtime/lifecycle.ts'
import type { AgentConfig } from '../config/config.ts'
import type { createAgentAdminApp } from './admin-app.ts'

/** The admin app on its sockets: first up and last down, so that a start that hangs can be looked into. */
export class AdminPart implements Part {
  readonly name = 'admin'
  readonly #config: AgentConfig['admin']
  readonly #untilFree: () => Promise<void>
  readonly #app: ReturnType<typeof createAgentAdminApp>
  readonly #feed: { close(): void }
  #serving: Serving | undefined

  constructor(
    config: AgentConfig['admin'],
    untilFree: () => Promise<void>,
    app: ReturnType<typeof createAgentAdminApp>,
    feed: { close(): void },
  ) {
    this.#config = config
    this.#untilFree = untilFree
    this.#app = app
    this.#feed = feed
  }

  get addresses(): readonly string[] {
    return this.#serving?.addresses ?? []
  }

  async start(): Promise<void> {
    await this.#untilFree()
    this.#serving = await serveAdmin(this.#app, this.#config)
  }

  async close(): Promise<void> {
    // A stream has no end of its own.
    this.#feed.close()
    await this.#serving?.close()
  }
}
