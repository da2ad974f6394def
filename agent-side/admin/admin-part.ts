import { serveAdmin, type Serving } from '../../lib/http/serve.ts'
import type { MinuteHistory } from '../../lib/observe/minute-history.ts'
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
  readonly #history: MinuteHistory
  #serving: Serving | undefined

  constructor(
    config: AgentConfig['admin'],
    untilFree: () => Promise<void>,
    app: ReturnType<typeof createAgentAdminApp>,
    feed: { close(): void },
    history: MinuteHistory,
  ) {
    this.#config = config
    this.#untilFree = untilFree
    this.#app = app
    this.#feed = feed
    this.#history = history
  }

  get addresses(): readonly string[] {
    return this.#serving?.addresses ?? []
  }

  async start(): Promise<void> {
    await this.#untilFree()
    this.#history.start()
    this.#serving = await serveAdmin(this.#app, this.#config)
  }

  async close(): Promise<void> {
    // A stream has no end of its own.
    this.#feed.close()
    this.#history.close()
    await this.#serving?.close()
  }
}
