import { createServer, connect, type Socket } from 'node:net'
import { parseIpAddress } from '../../lib/identity/ip-address.ts'
import type { Count } from '../../lib/runtime/clock.ts'
import {
  bindSocket,
  linux,
  listenSocket,
  openSocket,
  setSocketOption,
} from '../../lib/linux/libc.ts'
import { socketAddress } from '../../proxy/linux/socket-address.ts'
import { openNamespace } from '../../proxy/netns/namespace-handle.ts'
import { openWindow } from '../../proxy/netns/window.ts'
import { reportOnDemand } from './bench-process.ts'

/** Who may ask, and where answers come from. */
export interface BareProxyOptions {
  /** Of compute, on loopback. */
  readonly computeTcpPort: number
  readonly networks: readonly {
    readonly netns: string
    readonly projectId: string
    readonly guests: readonly { readonly ip: string; readonly instanceId: string }[]
  }[]
}

const endOfHead = Buffer.from('\r\n\r\n')
const backlog: Count = 1_024
/** Where the rules of the L3 agent lead guests. */
const tcpPort = 9697

/** A connection to compute that carries one request at a time. */
class ComputeConnection {
  readonly #socket: Socket
  #pending: ((answer: Buffer) => void) | undefined
  #bytes: Buffer = Buffer.alloc(0)

  constructor(computeTcpPort: number, idle: ComputeConnection[]) {
    this.#socket = connect({ port: computeTcpPort, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (chunk: Buffer) => {
      this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
      const end = this.#bytes.indexOf(endOfHead) + endOfHead.length
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#bytes.toString('latin1', 0, end))?.[1]
      if (length === undefined || this.#bytes.length < end + Number(length)) return
      idle.push(this)
      this.#answer(this.#bytes)
    })
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.on('close', () => {
      const index = idle.indexOf(this)
      if (index >= 0) idle.splice(index, 1)
      // An answer without a length ends with its connection; guests get one with a length.
      const end = this.#bytes.indexOf(endOfHead)
      if (end < 0 || this.#pending === undefined) return
      const length = `\r\nContent-Length: ${this.#bytes.length - end - endOfHead.length}`
      const parts = [this.#bytes.subarray(0, end), Buffer.from(length), this.#bytes.subarray(end)]
      this.#answer(Buffer.concat(parts))
    })
  }

  send(request: string, done: (answer: Buffer) => void): void {
    this.#pending = done
    this.#bytes = Buffer.alloc(0)
    this.#socket.write(request, 'latin1')
  }

  #answer(answer: Buffer): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.(answer)
  }
}

const { computeTcpPort, networks } = JSON.parse(process.argv[2] ?? '{}') as BareProxyOptions
const window = await openWindow()
const idle: ComputeConnection[] = []

function serve({ netns, projectId, guests }: BareProxyOptions['networks'][number]): void {
  const instances = new Map(guests.map(({ ip, instanceId }) => [ip, instanceId]))
  const server = createServer({ noDelay: true }, (guest) => {
    const ip = guest.remoteAddress ?? ''
    const fields = `X-Instance-ID: ${instances.get(ip) ?? ''}\r\nX-Tenant-ID: ${projectId}\r\nX-Forwarded-For: ${ip}`
    let head = ''
    guest.on('error', () => guest.destroy())
    guest.on('data', (chunk: Buffer) => {
      head += chunk.toString('latin1')
      if (!head.endsWith('\r\n\r\n')) return
      const isLast = /\r\nconnection: *close/i.test(head)
      const kept = head.replace(/\r\nconnection: *close/i, '')
      head = ''
      const compute = idle.pop() ?? new ComputeConnection(computeTcpPort, idle)
      compute.send(`${kept.slice(0, -2)}${fields}\r\n\r\n`, (answer) => {
        if (isLast) guest.end(answer)
        else guest.write(answer)
      })
    })
  })
  const address = parseIpAddress('0.0.0.0')
  if (address === undefined) throw new TypeError('0.0.0.0 is an address')
  const namespace = openNamespace(`/run/netns/${netns}`)
  const fd = window.run(namespace, () => {
    const { family, bytes } = socketAddress(address, tcpPort, 0)
    const opened = openSocket(family, linux.SOCK_STREAM | linux.SOCK_NONBLOCK)
    setSocketOption(opened, linux.SOL_SOCKET, linux.SO_REUSEADDR, 1)
    bindSocket(opened, bytes)
    listenSocket(opened, backlog)
    return opened
  })
  namespace.close()
  server.listen({ fd })
}

for (const network of networks) serve(network)
reportOnDemand(() => ({}))
