/** What does undici do about an answer that is paused when its connection ends? It ends the process; so it is told that it is not paused. */
import type { Socket } from 'node:net'
import buildConnector from 'undici/lib/core/connect.js'
import symbols from 'undici/lib/core/symbols.js'
import { connectionEnded } from './pool.ts'

/** As much of undici's parser as is used here. @see undici/lib/dispatcher/client-h1.js, 7.30 */
interface Parser {
  paused: boolean
  readonly ptr: number
  readonly llhttp: { llhttp_resume(ptr: number): void }
  /** The connection has ended. @returns what is wrong with the answer then */
  finish(): Error | null
}

/**
 * Lets the connection of an answer end while whoever gets the answer has asked for a pause. Where the end of the connection is the end of
 * the answer, undici asserts in an event's listener that there is no pause: one guest that does not read would end the process.
 * @param socket before a client of undici gets it
 */
export function toleratePausedEnd(socket: Socket): void {
  let current: Parser | null = null
  Object.defineProperty(socket, symbols.kParser, {
    configurable: true,
    get: () => current,
    set(parser: Parser | null) {
      current = parser
      if (parser !== null) finishPaused(parser, socket)
    },
  })
}

/** Connects as undici does. @see toleratePausedEnd */
export function tolerantConnector(options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector(options)
  return (place, connected) => {
    connect(place, (...outcome) => {
      if (outcome[0] === null) toleratePausedEnd(outcome[1])
      connected(...outcome)
    })
  }
}

function finishPaused(parser: Parser, socket: Socket): void {
  const finish = parser.finish.bind(parser)
  parser.finish = () => {
    if (parser.paused) {
      // Lost with its connection, so the answer is not whole.
      if (socket.readableLength > 0) return connectionEnded('The connection ended during a pause')
      parser.llhttp.llhttp_resume(parser.ptr)
      parser.paused = false
    }
    return finish()
  }
}
