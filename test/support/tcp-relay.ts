import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** A TCP port that leads to another one until it is cut. */
export class TcpRelay {
  readonly #target: number
  #tcpPort = 0
  #server: Server | undefined
  readonly #sockets = new Set<Socket>()
  #accepted = 0

  constructor(targetTcpPort: number) {
    this.#target = targetTcpPort
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
    const server = createServer((near) => {
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
      near.pipe(far)
      far.pipe(near)
    })
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

  async restore(): Promise<void> {
    if (this.#server === undefined) await this.open()
  }
}
