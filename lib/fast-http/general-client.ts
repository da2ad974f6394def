import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import Client from 'undici/lib/dispatcher/client.js'
import {
  connectionEnded,
  type AnswerHandler,
  type GeneralClient,
  type PlainExchangeRequest,
  type TakenConnection,
} from './pool.ts'

/** The HTTP client beside a `PlainPool`: for requests and answers that are not plain. */
export class UndiciClient implements GeneralClient {
  readonly #dispatcher: Dispatcher
  readonly #origin: string
  readonly #options: Client.Options

  /** @param options of the connections that are taken over */
  constructor(dispatcher: Dispatcher, origin: string, options: Client.Options) {
    this.#dispatcher = dispatcher
    this.#origin = origin
    this.#options = options
  }

  dispatch(request: PlainExchangeRequest, handler: AnswerHandler): void {
    this.#dispatcher.dispatch(dispatchOptions(request), handler)
  }

  takeOver(taken: TakenConnection, request: PlainExchangeRequest, handler: AnswerHandler): void {
    const { socket, unread } = taken
    let isTaken = false
    const client = new Client(this.#origin, {
      ...this.#options,
      connect: (_options, connected) => {
        // Never a second time: the request may have been carried out.
        if (isTaken || socket.destroyed) {
          connected(connectionEnded('The connection was closed'), null)
          return
        }
        isTaken = true
        // It reads before it writes, and takes what it then finds for an answer to nothing.
        onNextWrite(socket, () => socket.unshift(unread))
        // Not before it has finished asking for a connection, or it would not write.
        queueMicrotask(() => connected(null, socket))
      },
    })
    client.dispatch(dispatchOptions(request), handler)
    // Closes once the one request is through; nothing can be done about a failure to.
    client.close().catch(() => undefined)
  }
}

function dispatchOptions({ path, headers }: PlainExchangeRequest): Dispatcher.DispatchOptions {
  return { path, method: 'GET', headers: headers as string[], body: null }
}

/** Has something done instead of the next write: the request is on its way already. */
function onNextWrite(socket: Socket, instead: () => void): void {
  socket.write = (): boolean => {
    // Back to the method every socket has.
    Reflect.deleteProperty(socket, 'write')
    instead()
    return true
  }
}
