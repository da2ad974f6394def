/** Connections to a server on a UNIX socket, and how many bytes came over all of them. */
import { connect, type Socket } from 'node:net'
import type { Bytes } from '../../../lib/runtime/clock.ts'
import type { OvsdbEndpoint } from '../../../lib/ovsdb/endpoint.ts'

export class CountedSockets {
  readonly #sockets = new Set<Socket>()
  /** Over connections that have ended. */
  #received = 0

  get bytesReceived(): Bytes {
    return [...this.#sockets].reduce((sum, socket) => sum + socket.bytesRead, this.#received)
  }

  connect(to: OvsdbEndpoint, signal: AbortSignal): Promise<Socket> {
    const path = to.kind === 'unix' ? to.path : ''
    return new Promise((resolve, reject) => {
      const socket = connect({ path })
      const abort = (): void => void socket.destroy(new Error('the attempt took too long'))
      signal.addEventListener('abort', abort, { once: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        signal.removeEventListener('abort', abort)
        socket.off('error', reject)
        this.#sockets.add(socket)
        socket.once('close', () => {
          this.#sockets.delete(socket)
          this.#received += socket.bytesRead
        })
        resolve(socket)
      })
    })
  }
}
