/** On which sockets does a worker accept connections of guests? */
import { createServer, type Server, type Socket } from 'node:net'
import type { Count } from '../../../lib/runtime/clock.ts'
import { scopeText } from '../../../lib/identity/scope.ts'
import { descriptorOf } from '../../../lib/sockets/descriptor.ts'
import { guestListener, type GuestListener } from '../shared/guest-identity.ts'
import type { ListenerDescription } from '../shared/protocol.ts'
import type { GuestServices } from './worker-context.ts'

/** A listening socket that is open already, or one to open in the namespace of this process. */
export type ListeningPlace =
  { readonly fd: number } | { readonly host: string; readonly port: number }

interface OpenListener {
  readonly guests: GuestListener
  readonly server: Server
}

export interface GuestListenersOptions {
  readonly services: Pick<GuestServices, 'ledger' | 'forwarder' | 'metrics'>
  readonly backlog: Count
}

/** The listening sockets of a worker, by the ids that the supervisor gave them. */
export class GuestListeners {
  readonly #services: GuestListenersOptions['services']
  readonly #backlog: Count
  readonly #accept: (socket: Socket, guests: GuestListener) => void
  readonly #listeners = new Map<number, OpenListener>()

  constructor(
    { services, backlog }: GuestListenersOptions,
    accept: (socket: Socket, guests: GuestListener) => void,
  ) {
    this.#services = services
    this.#backlog = backlog
    this.#accept = accept
  }

  /**
   * Accepts on a socket. Connections carry the description's scope, whatever their requests claim.
   * @throws when the descriptor is no listening socket, or the address cannot be bound
   */
  async listen(description: ListenerDescription, place: ListeningPlace): Promise<void> {
    const account = this.#services.ledger.namespace(scopeText(description.scope))
    const guests = guestListener(description, account)
    const server = createServer({ allowHalfOpen: true, noDelay: !('fd' in place) }, (socket) =>
      this.#accept(socket, guests),
    )
    // Before the first wait, so that an order to close it cannot come too early.
    account.listeners += 1
    this.#listeners.set(description.listenerId, { guests, server })
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        // Of a descriptor, Node takes the backlog from this place only, and 511 otherwise.
        server.listen(place, this.#backlog, () => {
          server.removeListener('error', reject)
          resolve()
        })
      })
    } catch (cause) {
      this.close([description.listenerId])
      throw cause
    }
    // EMFILE and its like: libuv has dealt with the connection, nothing here may fail for it.
    server.on('error', () => {
      this.#services.metrics.acceptFailures += 1
    })
  }

  /** Of the listening sockets of this moment. */
  descriptors(): readonly number[] {
    return [...this.#listeners.values()].flatMap(({ server }) => descriptorOf(server) ?? [])
  }

  /** Stops accepting there. @returns what connections of these sockets bear as their listener */
  close(listenerIds: readonly number[]): ReadonlySet<GuestListener> {
    const closing = new Set<GuestListener>()
    for (const listenerId of listenerIds) {
      const listener = this.#listeners.get(listenerId)
      if (listener === undefined) continue
      this.#listeners.delete(listenerId)
      listener.server.close()
      closing.add(listener.guests)
      listener.guests.isClosed = true
      const { account, scope } = listener.guests
      account.listeners -= 1
      if (account.listeners === 0) this.#services.forwarder.dropScope(scope)
      this.#services.ledger.forget(account)
    }
    return closing
  }

  closeAll(): void {
    this.close([...this.#listeners.keys()])
  }
}
