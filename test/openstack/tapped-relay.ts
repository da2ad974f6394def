import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'

interface Awaited {
  readonly text: string
  readonly resolve: () => void
}

/** A TCP port in front of a server that remembers what the server was sent and tells when it answered with a certain text. */
export class TappedRelay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #awaited = new Set<Awaited>()
  #sent: Buffer[] = []

  /** In front of a port of this machine until the test ends. */
  static async open(t: Test, tcpPort: number): Promise<TappedRelay> {
    const relay = new TappedRelay(tcpPort)
    relay.#server.listen(0, '127.0.0.1')
    await once(relay.#server, 'listening')
    t.teardown(() => relay.#close())
    return relay
  }

  private constructor(target: number) {
    this.#server = createServer({ noDelay: true }, (near) => {
      const far = connect({ port: target, host: '127.0.0.1', noDelay: true })
      for (const socket of [near, far]) {
        this.#sockets.add(socket)
        socket.on('error', () => undefined)
        socket.on('close', () => {
          this.#sockets.delete(socket)
          near.destroy()
          far.destroy()
        })
      }
      near.on('data', (chunk: Buffer) => {
        this.#sent.push(chunk)
        far.write(chunk)
      })
      let rest = ''
      far.on('data', (chunk: Buffer) => {
        const seen = rest + chunk.toString('latin1')
        rest = seen.slice(-longestText)
        near.write(chunk, () => this.#tell(seen))
      })
    })
  }

  get tcpPort(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** How often the pattern occurs in what the server was sent since {@link forget}. */
  count(pattern: RegExp | string): number {
    const text = Buffer.concat(this.#sent).toString('latin1')
    return typeof pattern === 'string'
      ? text.split(pattern).length - 1
      : [...text.matchAll(pattern)].length
  }

  forget(): void {
    this.#sent = []
  }

  /** Resolves as soon as the server's bytes that hold the text have been handed on. Ask before they can come. */
  passed(text: string): Promise<void> {
    return new Promise((resolve) => this.#awaited.add({ text, resolve }))
  }

  #tell(seen: string): void {
    for (const one of this.#awaited) {
      if (!seen.includes(one.text)) continue
      this.#awaited.delete(one)
      one.resolve()
    }
  }

  #close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

const longestText = 100
