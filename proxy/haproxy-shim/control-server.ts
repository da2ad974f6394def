/** Who may give the running proxy a namespace to serve? Root, over a socket of its own. */
import { mkdirSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { once } from 'node:events'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { listenPrivately } from '../../lib/sockets/private-socket.ts'
import { JsonLines } from '../../lib/wire/json-lines.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { peerCredentials, type PeerCredentials } from '../../lib/linux/peer-credentials.ts'
import {
  longestLine,
  readControlRequest,
  type ControlAnswer,
  type ControlRequest,
} from './control-message.ts'

export interface ControlServerOptions {
  readonly path: string
  readonly logger: Logger
  /** Never rejects for what the caller did; that is an answer. */
  readonly answer: (request: ControlRequest, peer: PeerCredentials) => Promise<ControlAnswer>
}

/** As many processes of Neutron's agents may connect at a time; others wait in the backlog. */
const mostConnections = 256
const requestLimit: Milliseconds = 5_000

/** Listens for requests of one line. The socket is root's alone, and the kernel names who connects all the same. */
export class ControlServer {
  readonly #options: ControlServerOptions
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  constructor(options: ControlServerOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { path } = this.#options
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#receive(socket))
    server.maxConnections = mostConnections
    await listenPrivately(server, path)
    this.#server = server
  }

  async close(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    const closed = once(server, 'close')
    server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #receive(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => undefined)
    const peer = peerCredentials(socket)
    if (peer?.userId !== 0) {
      this.#options.logger.warn({ peer }, 'Refused a process of another account than root')
      this.#end(socket, { ok: false, why: 'only root may send requests' })
      return
    }
    const lines = new JsonLines(longestLine)
    socket.setTimeout(requestLimit, () => socket.destroy())
    const read = (chunk: Buffer): void => {
      let values: readonly unknown[]
      try {
        values = lines.take(chunk)
      } catch (cause) {
        values = [cause]
      }
      if (values.length === 0) return
      socket.off('data', read)
      socket.setTimeout(0)
      void this.#answer(socket, peer, values[0])
    }
    socket.on('data', read)
  }

  async #answer(socket: Socket, peer: PeerCredentials, value: unknown): Promise<void> {
    const request = readControlRequest(value)
    if (request === undefined) {
      this.#end(socket, { ok: false, why: 'this is no request' })
      return
    }
    try {
      this.#end(socket, await this.#options.answer(request, peer))
    } catch (cause) {
      this.#end(socket, { ok: false, why: causeText(cause) })
    }
  }

  #end(socket: Socket, answer: ControlAnswer): void {
    socket.end(`${JSON.stringify(answer)}\n`)
    // What the other side still sends is not read.
    socket.resume()
    socket.on('finish', () => socket.destroy())
  }
}
