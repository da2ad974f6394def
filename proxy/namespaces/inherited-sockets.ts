/** Which listening sockets came from before this process, and where does each one live? */
import type { Count } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { closeReceived } from '../netns/close-received.ts'
import { listeningSocketOf, type ListeningSocket } from '../netns/listening-socket.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'

/** A socket that listens already, and what the kernel knows of it. */
export interface InheritedSocket extends ListeningSocket {
  readonly fd: number
}

/**
 * Listening sockets of a proxy that was here before. The kernel names what they are, one by one: nothing that came beside
 * them, neither name nor order, decides whose guests they serve.
 */
export class InheritedSockets {
  readonly #byNamespace = new Map<NamespaceKey, InheritedSocket[]>()
  readonly #logger: Logger
  readonly #beforeClose: (fd: number) => void
  #count: Count = 0

  constructor(logger: Logger, beforeClose: (fd: number) => void = () => undefined) {
    this.#logger = logger
    this.#beforeClose = beforeClose
  }

  get count(): Count {
    return this.#count
  }

  /** Takes descriptors. One that is no listening TCP socket is closed. */
  add(fds: readonly number[]): void {
    for (const fd of fds) {
      const socket = this.#inspect(fd)
      if (socket === undefined) {
        this.#close(fd)
        continue
      }
      const others = this.#byNamespace.get(socket.namespace) ?? []
      this.#byNamespace.set(socket.namespace, [...others, { ...socket, fd }])
      this.#count += 1
    }
  }

  #inspect(fd: number): ListeningSocket | undefined {
    try {
      const socket = listeningSocketOf(fd)
      if (socket === undefined) this.#logger.warn({ fd }, 'Inherited what is no listening socket')
      return socket
    } catch (cause) {
      this.#logger.warn({ fd, cause: causeText(cause) }, 'Cannot find the namespace of a socket')
      return undefined
    }
  }

  /** Those that live in a namespace; they are the caller's from now on. */
  take(key: NamespaceKey): readonly InheritedSocket[] {
    const sockets = this.#byNamespace.get(key) ?? []
    this.#byNamespace.delete(key)
    return sockets
  }

  /** Closes those of namespaces that are not to be served. */
  closeOthers(wanted: ReadonlySet<NamespaceKey>): void {
    for (const [key, sockets] of this.#byNamespace) {
      if (wanted.has(key)) continue
      this.#byNamespace.delete(key)
      for (const { fd } of sockets) this.#close(fd)
      this.#logger.info({ sockets: sockets.length }, 'Closed sockets of a namespace not served')
    }
  }

  #close(fd: number): void {
    this.#beforeClose(fd)
    if (!closeReceived(fd)) this.#logger.warn({ fd }, 'What is no socket stays open')
  }
}
