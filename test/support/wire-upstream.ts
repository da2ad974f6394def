import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** One request without a body as it arrived. */
export interface WireRequest {
  /** `GET /path HTTP/1.1` and the fields. */
  readonly head: string
  readonly socket: Socket
  /** From 1, of this connection. */
  readonly place: number
}

/** An agent or a compute service that knows no rules: what it writes, and when, is the test's. */
export class WireUpstream {
  readonly requests: WireRequest[] = []
  answer: (request: WireRequest) => void = () => undefined
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor() {
    this.#server = createServer((socket) => this.#serve(socket))
  }

  /** @param at path of a UNIX socket; a TCP port of loopback when absent */
  static async start(at?: string): Promise<WireUpstream> {
    const upstream = new WireUpstream()
    if (at === undefined) upstream.#server.listen(0, '127.0.0.1')
    else upstream.#server.listen(at)
    await once(upstream.#server, 'listening')
    return upstream
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
    let pending = ''
    let place = 0
    socket.on('data', (chunk: Buffer) => {
      pending += chunk.toString('latin1')
      for (;;) {
        const end = pending.indexOf('\r\n\r\n')
        if (end < 0) return
        const head = pending.slice(0, end)
        pending = pending.slice(end + 4)
        place += 1
        const request = { head, socket, place }
        this.requests.push(request)
        this.answer(request)
      }
    })
  }
}
