/** Where the proxies of this host connect. */
import { createServer, type Server } from 'node:http'
import type { Count } from '../lib/clock.ts'
import { PlainServer } from '../lib/http/plain-server.ts'
import { closeServer } from '../lib/http/serve.ts'
import type { Part } from '../lib/lifecycle.ts'
import type { Logger } from '../lib/log.ts'
import {
  agentServerOptions,
  connectionsOf,
  refuseUnreadable,
  type ListenerLimits,
  type UnreadableObserver,
} from './agent-server.ts'
import type { App } from './app.ts'
import type { Peer } from './lookup-key.ts'
import { isForRootAlone, listenOnSocketFile, type SocketFileOptions } from './socket-file.ts'

export interface AgentListenerOptions {
  readonly app: App
  readonly peer: Peer
  readonly socket: SocketFileOptions
  readonly limits: ListenerLimits
  readonly logger: Logger
  readonly observer?: UnreadableObserver
}

/** Serves one kind of peer on one UNIX socket. */
export class AgentListener implements Part {
  readonly name: string
  readonly #options: AgentListenerOptions
  readonly #server: Server
  readonly #plain: PlainServer
  #removeFile: (() => void) | undefined
  #isDraining = false

  constructor(options: AgentListenerOptions) {
    this.#options = options
    this.name = `listener ${options.socket.path}`
    this.#server = this.#createServer()
    this.#plain = this.#servePlain()
  }

  get path(): string {
    return this.#options.socket.path
  }

  get peer(): Peer {
    return this.#options.peer
  }

  connections(): Promise<Count> {
    return connectionsOf(this.#server)
  }

  readiness(): { readonly name: string; readonly ready: boolean; readonly detail: string } {
    const ready = this.#server.listening && !this.#isDraining
    return { name: this.name, ready, detail: ready ? 'listening' : 'not listening' }
  }

  async start(): Promise<void> {
    const { socket, peer, logger } = this.#options
    this.#removeFile = await listenOnSocketFile(this.#server, socket)
    if (peer.kind === 'neutron' && isForRootAlone(socket.path)) {
      logger.warn(
        { socket: socket.path },
        'Only root can connect here, and haproxies of Neutron run as another user: run the agent as that user, or name it (metadata_proxy_user)',
      )
    }
  }

  /** Stops accepting and lets running requests end. Our socket file goes first, so that nobody finds it deaf. */
  async close(): Promise<void> {
    this.#isDraining = true
    this.#removeFile?.()
    this.#plain.close()
    const late = setTimeout(() => this.#plain.closeAll(), this.#options.limits.drain)
    await closeServer(this.#server, this.#options.limits.drain)
    clearTimeout(late)
  }

  #createServer(): Server {
    const { app, peer, limits, observer } = this.#options
    const server = createServer(agentServerOptions(limits), (request, response) => {
      if (this.#isDraining) response.shouldKeepAlive = false
      void app.handle(peer, request, response)
    })
    refuseUnreadable(server, limits, observer)
    return server
  }

  /** Puts a reader of plain requests before the server's own, which gets the connections on which anything else comes. */
  #servePlain(): PlainServer {
    const { app, peer, limits } = this.#options
    const server = this.#server
    const takesOver = server.listeners('connection')
    server.removeAllListeners('connection')
    const plain = new PlainServer({
      serve: (request, response) => {
        if (this.#isDraining) response.shouldKeepAlive = false
        void app.handle(peer, request, response)
      },
      takeOver: (socket) => {
        for (const listener of takesOver) Reflect.apply(listener, server, [socket])
      },
      timedOut: (socket) => {
        server.emit(
          'clientError',
          Object.assign(new Error('No request in time'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }),
          socket,
        )
      },
      headBytes: limits.headBytes,
      timeoutHead: limits.timeoutHead,
      timeoutKeepAlive: limits.timeoutKeepAlive,
    })
    server.on('connection', (socket) => plain.accept(socket))
    return plain
  }
}
