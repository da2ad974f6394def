/** Where supervisors of this host connect to report which scopes it serves. Workers cannot: the file and the kernel keep them out. */
import { createServer, type Server, type Socket } from 'node:net'
import type { Clock, Count } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { JsonLineChannel } from '../../lib/wire/json-line-channel.ts'
import { peerUser } from '../../lib/linux/peer-credentials.ts'
import type { Part } from '../../lib/runtime/lifecycle.ts'
import { longestScopesLine, readScopesReport } from '../../lib/wire/served-scopes.ts'
import type { ConnectionRefusals } from '../listeners/connection-refusals.ts'
import { listenOnSocketFile, type SocketFileOptions } from '../../lib/sockets/socket-file.ts'
import type { Fence } from './fence.ts'

export interface ScopesListenerOptions {
  readonly fence: Pick<Fence, 'start' | 'close' | 'open'>
  readonly socket: SocketFileOptions
  /** Accounts of which a supervisor may be. */
  readonly supervisors: ReadonlySet<number>
  readonly refusals: Pick<ConnectionRefusals, 'note'>
  readonly clock: Clock
}

/** One supervisor, and one that follows it, for each of some proxies. */
const mostConnections: Count = 16

/** The socket at which supervisors report. */
export class ScopesListener implements Part {
  readonly name: string
  readonly #options: ScopesListenerOptions
  readonly #server: Server
  readonly #channels = new Set<JsonLineChannel>()
  #removeFile: (() => void) | undefined

  constructor(options: ScopesListenerOptions) {
    this.#options = options
    this.name = `served scopes ${options.socket.path}`
    this.#server = createServer((socket) => this.#serve(socket))
    this.#server.maxConnections = mostConnections
  }

  async start(): Promise<void> {
    const { fence, socket } = this.#options
    this.#removeFile = await listenOnSocketFile(this.#server, socket)
    fence.start()
  }

  async close(): Promise<void> {
    this.#removeFile?.()
    this.#removeFile = undefined
    this.#options.fence.close()
    for (const channel of this.#channels) channel.close()
    if (!this.#server.listening) return
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    const { supervisors } = this.#options
    const user = peerUser(socket)
    if (user === undefined || !supervisors.has(user)) {
      this.#refuse('scopes_account', `user ${user ?? 'unknown'} is no supervisor`)
      socket.on('error', () => undefined)
      socket.destroy()
      return
    }
    this.#receive(socket)
  }

  #receive(socket: Socket): void {
    const { fence, clock } = this.#options
    const supervisor = fence.open()
    const channel: JsonLineChannel = new JsonLineChannel({
      input: socket,
      output: socket,
      longestLine: longestScopesLine,
      clock,
      onValue: (value) => {
        try {
          const message = readScopesReport(value)
          if (message === undefined) throw new TypeError('A message means nothing')
          const receipt = supervisor.report(message)
          if (receipt !== undefined) channel.send(receipt)
        } catch (cause) {
          end(causeText(cause))
        }
      },
      onEnd: (breach) => end(breach),
    })
    const end = (nonsense: string | undefined): void => {
      if (nonsense !== undefined) this.#refuse('scopes_message', nonsense)
      this.#channels.delete(channel)
      channel.close()
      supervisor.close()
    }
    this.#channels.add(channel)
  }

  #refuse(why: 'scopes_account' | 'scopes_message', cause: string): void {
    this.#options.refusals.note(why, this.#options.socket.path, cause)
  }
}
