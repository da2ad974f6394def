/** Where the workers of this host connect for leases: a socket that no request of a guest is ever read from. */
import { createServer, type Server, type Socket } from 'node:net'
import type { Bytes, Count } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { JsonLines } from '../../lib/wire/json-lines.ts'
import {
  leaseLine,
  longestLeaseLine,
  readLeaseRequest,
  type LeaseNews,
} from '../../lib/wire/lease-messages.ts'
import type { Part } from '../../lib/runtime/lifecycle.ts'
import type { ConnectionRefusals } from '../listeners/connection-refusals.ts'
import { listenOnSocketFile, type SocketFileOptions } from '../../lib/sockets/socket-file.ts'
import type { LeaseIssuer } from './lease-issuer.ts'

export interface LeaseListenerOptions {
  readonly issuer: LeaseIssuer
  readonly socket: SocketFileOptions
  readonly refusals: Pick<ConnectionRefusals, 'note'>
}

/** More workers than one host runs. */
const mostConnections: Count = 256

/** A worker that does not read what is revoked is cut off, and then has to take everything for revoked. */
const mostUnread: Bytes = 256 * 1024

/** The socket at which this host's workers request leases. */
export class LeaseListener implements Part {
  readonly name: string
  readonly #options: LeaseListenerOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #removeFile: (() => void) | undefined

  constructor(options: LeaseListenerOptions) {
    this.#options = options
    this.name = `lease listener ${options.socket.path}`
    this.#server = createServer((socket) => this.#serve(socket))
    this.#server.maxConnections = mostConnections
  }

  readiness(): { readonly name: string; readonly ready: boolean; readonly detail: string } {
    const ready = this.#server.listening
    const workers = this.#sockets.size
    return { name: this.name, ready, detail: ready ? `${workers} workers` : 'not listening' }
  }

  async start(): Promise<void> {
    this.#removeFile = await listenOnSocketFile(this.#server, this.#options.socket)
  }

  /** Every worker drops its leases when its connection ends. */
  async close(): Promise<void> {
    this.#removeFile?.()
    this.#removeFile = undefined
    this.#options.issuer.close()
    for (const socket of this.#sockets) socket.destroy()
    if (!this.#server.listening) return
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    const { issuer, refusals } = this.#options
    const lines = new JsonLines(longestLeaseLine.ofWorker)
    const holder = issuer.open((news: LeaseNews) => {
      if (socket.destroyed) return
      socket.write(leaseLine(news))
      if (socket.writableLength > mostUnread) socket.destroy()
    })
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      this.#sockets.delete(socket)
      holder.close()
    })
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const value of lines.take(chunk)) {
          const request = readLeaseRequest(value)
          if (request === undefined) throw new TypeError('A message means nothing')
          if (request.kind === 'stale') holder.stale(request.lease)
          else if (request.kind === 'served') holder.served(request)
          else holder.request(request.request, request)
        }
      } catch (cause) {
        refusals.note('lease_message', this.#options.socket.path, causeText(cause))
        socket.destroy()
      }
    })
  }
}
