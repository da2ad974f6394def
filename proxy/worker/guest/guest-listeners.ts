/** On which sockets does a worker accept connections of guests? */
import { closeSync } from 'node:fs'
import type { Count } from '../../../lib/runtime/clock.ts'
import { scopeText } from '../../../lib/identity/scope.ts'
import { listenSocket } from '../../../lib/linux/libc.ts'
import { restoreNonBlocking } from '../../linux/non-blocking.ts'
import type { RawLoop } from '../raw/raw-loop.ts'
import { RawListener } from '../raw/raw-listener.ts'
import { guestListener, type GuestListener } from '../shared/guest-identity.ts'
import type { ListenerDescription } from '../shared/protocol.ts'
import { openListener } from './open-listener.ts'
import type { WorkerContext } from './worker-context.ts'

/** A listening socket that is open already, or one to open in the namespace of this process. */
export type ListeningPlace =
  { readonly fd: number } | { readonly host: string; readonly port: number }

interface OpenListener {
  readonly guests: GuestListener
  readonly socket: RawListener
}

export interface GuestListenersOptions {
  readonly services: Pick<WorkerContext, 'ledger' | 'forwarder' | 'metrics' | 'clock'>
  readonly loop: RawLoop
  readonly backlog: Count
}

/** The listening sockets of a worker, by the ids that the supervisor gave them. */
export class GuestListeners {
  readonly #options: GuestListenersOptions
  readonly #accept: (fd: number, guests: GuestListener) => void
  readonly #listeners = new Map<number, OpenListener>()

  /** @param accept owns the descriptor of each connection */
  constructor(options: GuestListenersOptions, accept: (fd: number, guests: GuestListener) => void) {
    this.#options = options
    this.#accept = accept
  }

  /**
   * Accepts on a socket. Connections carry the description's scope, whatever their requests claim.
   * @throws when the descriptor is no listening socket, or the address cannot be bound
   */
  listen(description: ListenerDescription, place: ListeningPlace): void {
    const { services, loop, backlog } = this.#options
    const account = services.ledger.namespace(scopeText(description.scope))
    const guests = guestListener(description, account)
    const fd = 'fd' in place ? place.fd : openListener(place.host, place.port)
    try {
      restoreNonBlocking(fd)
      // A descriptor comes with the queue that its maker gave it.
      listenSocket(fd, backlog)
      const socket = new RawListener(loop, fd, {
        accepted: (accepted) => this.#accept(accepted, guests),
        // EMFILE and its like: nothing here may fail for it.
        failed: () => {
          services.metrics.acceptFailures += 1
        },
        clock: services.clock,
      })
      this.#listeners.set(description.listenerId, { guests, socket })
      account.listeners += 1
    } catch (cause) {
      closeSync(fd)
      throw cause
    }
  }

  /** Of the listening sockets of this moment. */
  descriptors(): readonly number[] {
    return [...this.#listeners.values()].map(({ socket }) => socket.fd)
  }

  /** Stops accepting there. @returns what connections of these sockets bear as their listener */
  close(listenerIds: readonly number[]): ReadonlySet<GuestListener> {
    const { ledger, forwarder } = this.#options.services
    const closing = new Set<GuestListener>()
    for (const listenerId of listenerIds) {
      const listener = this.#listeners.get(listenerId)
      if (listener === undefined) continue
      this.#listeners.delete(listenerId)
      listener.socket.close()
      closing.add(listener.guests)
      listener.guests.isClosed = true
      const { account, scope } = listener.guests
      account.listeners -= 1
      if (account.listeners === 0) forwarder.dropScope(scope)
      ledger.forget(account)
    }
    return closing
  }

  closeAll(): void {
    this.close([...this.#listeners.keys()])
  }
}
