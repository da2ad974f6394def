/** Where the proxies of this host connect. */
import { createServer } from 'node:http'
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net'
import type { Count } from '../../lib/runtime/clock.ts'
import type { Part } from '../../lib/runtime/lifecycle.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import {
  AgentServer,
  closed,
  connectionsOf,
  type ListenerLimits,
  type UnreadableObserver,
} from './http-server.ts'
import type { RequestHandler } from '../requests/request-handler.ts'
import type { Peer } from '../peers/lookup-key.ts'
import {
  isForRootAlone,
  listenOnSocketFile,
  type SocketFileOptions,
} from '../../lib/sockets/socket-file.ts'

export interface UnixListenerOptions {
  readonly handler: RequestHandler
  readonly peer: Peer
  readonly socket: SocketFileOptions
  readonly limits: ListenerLimits
  /** As whom a process runs that connects; absent where that does not matter. */
  readonly userOf?: ((socket: Socket) => number | undefined) | undefined
  readonly logger: Logger
  readonly observer?: UnreadableObserver
}

/** Serves one kind of peer on one UNIX socket. */
export class UnixListener implements Part {
  readonly name: string
  readonly #options: UnixListenerOptions
  readonly #listener: NetServer
  readonly #server: AgentServer
  #removeFile: (() => void) | undefined
  #isStopping = false

  constructor(options: UnixListenerOptions) {
    this.#options = options
    this.name = `listener ${options.socket.path}`
    const { handler, limits, observer } = options
    this.#server = new AgentServer({ handler, limits, observer, create: createServer })
    this.#listener = this.#listen()
  }

  get path(): string {
    return this.#options.socket.path
  }

  get peer(): Peer {
    return this.#options.peer
  }

  connections(): Promise<Count> {
    return connectionsOf(this.#listener)
  }

  readiness(): { readonly name: string; readonly ready: boolean; readonly detail: string } {
    const { listening } = this.#listener
    const detail = !listening ? 'not listening' : this.#isStopping ? 'stopping' : 'listening'
    return { name: this.name, ready: detail === 'listening', detail }
  }

  async start(): Promise<void> {
    const { socket, peer, logger } = this.#options
    this.#removeFile = await listenOnSocketFile(this.#listener, socket)
    if (peer.kind === 'neutron' && isForRootAlone(socket.path)) {
      logger.warn(
        { socket: socket.path },
        'Only root can connect here, and haproxies of Neutron run as another user: run the agent as that user, or name it (metadata_proxy_user)',
      )
    }
  }

  settle(): Promise<void> {
    this.#isStopping = true
    return this.#server.settle()
  }

  /** Stops accepting and lets running requests end. The socket file goes first, so that no worker connects to a listener that does not accept. */
  async close(): Promise<void> {
    this.#isStopping = true
    this.#removeFile?.()
    this.#removeFile = undefined
    const isClosed = closed(this.#listener)
    await this.#server.drain()
    await isClosed
  }

  #listen(): NetServer {
    const { peer, limits, userOf } = this.#options
    const listener = createNetServer({ allowHalfOpen: true }, (socket) => {
      const isForeign = userOf !== undefined && peer.kind === 'neutron'
      this.#server.open(socket, isForeign ? { ...peer, userId: userOf(socket) } : peer)
      this.#server.http.emit('connection', socket)
    })
    listener.maxConnections = limits.connections
    // The one that was turned away comes again.
    listener.on('drop', () => this.#server.endOneIdle())
    return listener
  }
}
