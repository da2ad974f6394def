/** Where proxies connect. */
import { createServer, STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Bytes, Count, Milliseconds } from '../lib/clock.ts'
import { errorResponse } from '../lib/http/error-response.ts'
import { parserRefusal, type ParserError } from '../lib/http/parser-refusal.ts'
import { closeServer } from '../lib/http/serve.ts'
import type { Part } from '../lib/lifecycle.ts'
import type { ReasonCode } from '../lib/reason-codes.ts'
import type { App } from './app.ts'
import type { Peer } from './lookup-key.ts'
import { listenOnSocketFile, type SocketFileOptions } from './socket-file.ts'

export interface ListenerLimits {
  /** Of a request's head. Proxies add to what guests send, so it is more than they allow a guest. */
  readonly headBytes: Bytes
  readonly timeoutHead: Milliseconds
  /** From the first byte of a request to the last of its body. */
  readonly timeoutRequest: Milliseconds
  readonly timeoutKeepAlive: Milliseconds
  readonly connections: Count
  /** How long running requests may take after `close()`. */
  readonly drain: Milliseconds
}

export interface AgentListenerOptions {
  readonly app: App
  readonly peer: Peer
  readonly socket: SocketFileOptions
  readonly limits: ListenerLimits
  readonly observer?: { unreadable(code: ReasonCode): void }
}

function refuseUnreadable(socket: Duplex, code: ReasonCode): void {
  const { status, headers, body } = errorResponse(code)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}connection: close\r\n\r\n${body}`,
  )
}

/** Serves one kind of peer on one UNIX socket. */
export class AgentListener implements Part {
  readonly name: string
  readonly #options: AgentListenerOptions
  readonly #server: Server
  #removeFile: (() => void) | undefined
  #isDraining = false

  constructor(options: AgentListenerOptions) {
    this.#options = options
    this.name = `listener ${options.socket.path}`
    this.#server = this.#createServer()
  }

  get path(): string {
    return this.#options.socket.path
  }

  get peer(): Peer {
    return this.#options.peer
  }

  connections(): Promise<Count> {
    return new Promise((resolve) => {
      this.#server.getConnections((error, count) => resolve(error ? 0 : count))
    })
  }

  readiness(): { readonly name: string; readonly ready: boolean; readonly detail: string } {
    const ready = this.#server.listening && !this.#isDraining
    return { name: this.name, ready, detail: ready ? 'listening' : 'not listening' }
  }

  async start(): Promise<void> {
    this.#removeFile = await listenOnSocketFile(this.#server, this.#options.socket)
  }

  /** Stops accepting and lets running requests end. Our socket file goes first, so that nobody finds it deaf. */
  async close(): Promise<void> {
    this.#isDraining = true
    this.#removeFile?.()
    await closeServer(this.#server, this.#options.limits.drain)
  }

  #createServer(): Server {
    const { app, peer, limits } = this.#options
    const server = createServer(
      {
        maxHeaderSize: limits.headBytes,
        headersTimeout: limits.timeoutHead,
        requestTimeout: limits.timeoutRequest,
        keepAliveTimeout: limits.timeoutKeepAlive,
        connectionsCheckingInterval: Math.min(1_000, limits.timeoutHead),
        // A guest's Host means nothing here, and HTTP/1.0 guests behind haproxy send none.
        requireHostHeader: false,
        noDelay: true,
      },
      (request, response) => {
        if (this.#isDraining) response.shouldKeepAlive = false
        void app.handle(peer, request, response)
      },
    )
    server.maxConnections = limits.connections
    server.on('clientError', (error: ParserError, socket: Duplex) => this.#refuse(error, socket))
    server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
      this.#count(socket, 'method_not_supported')
    })
    return server
  }

  #refuse(error: ParserError, socket: Duplex): void {
    const code = parserRefusal(error)
    // An answer in the middle of another would be read as a part of it.
    const isAnswering = (socket as { _httpMessage?: unknown })._httpMessage
    if (code === undefined || !socket.writable || isAnswering) socket.destroy()
    else this.#count(socket, code)
  }

  #count(socket: Duplex, code: ReasonCode): void {
    this.#options.observer?.unreadable(code)
    refuseUnreadable(socket, code)
  }
}
