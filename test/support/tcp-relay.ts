import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'

/** A TCP port that leads to another one until it is cut; with TLS in front where options for that are given. */
export class TcpRelay {
  readonly #target: number
  readonly #tls: TlsOptions | undefined
  #tcpPort = 0
  #server: Server | undefined
  readonly #sockets = new Set<Socket>()
  #accepted = 0
  #isFrozen = false

  constructor(targetTcpPort: number, tls?: TlsOptions) {
    this.#target = targetTcpPort
    this.#tls = tls
  }

  /** The port to connect to; the same one after {@link restore}. */
  get tcpPort(): number {
    return this.#tcpPort
  }

  /** Connections taken so far. */
  get accepted(): number {
    return this.#accepted
  }

  async open(): Promise<void> {
    const relay = (near: Socket): void => {
      this.#accepted += 1
      const far = connect(this.#target, '127.0.0.1')
      for (const socket of [near, far]) {
        this.#sockets.add(socket)
        socket.on('error', () => undefined)
        socket.on('close', () => {
          this.#sockets.delete(socket)
          near.destroy()
          far.destroy()
        })
      }
      if (this.#isFrozen) return
      near.pipe(far)
      far.pipe(near)
    }
    const server = this.#tls ? createTlsServer(this.#tls, relay) : createServer(relay)
    server.on('tlsClientError', () => undefined)
    server.listen(this.#tcpPort, '127.0.0.1')
    await once(server, 'listening')
    this.#tcpPort = (server.address() as AddressInfo).port
    this.#server = server
  }

  /** Breaks every connection and refuses new ones. */
  async cut(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(server, 'close')
  }

  /** Says nothing more and lets nothing through, as a host does that lost its power; connections stay. */
  freeze(): void {
    this.#isFrozen = true
    for (const socket of this.#sockets) {
      socket.unpipe()
      socket.pause()
    }
  }

  /** Lets new connections through again. */
  thaw(): void {
    this.#isFrozen = false
  }

  async restore(): Promise<void> {
    if (this.#server === undefined) await this.open()
  }
}
