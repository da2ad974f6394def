/** How is HTTP read from a proxy, whichever way it connected? */
import { STATUS_CODES, type IncomingMessage, type Server, type ServerOptions } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Bytes, Count, Milliseconds } from '../lib/clock.ts'
import { errorResponse } from '../lib/http/error-response.ts'
import { parserRefusal, type ParserError } from '../lib/http/parser-refusal.ts'
import type { ReasonCode } from '../lib/reason-codes.ts'

export interface ListenerLimits {
  /** Of a request's head. Proxies add to what guests send, so it is more than they allow a guest. */
  readonly headBytes: Bytes
  readonly timeoutHead: Milliseconds
  /** From the first byte of a request to the last of its body. */
  readonly timeoutRequest: Milliseconds
  readonly timeoutKeepAlive: Milliseconds
  readonly connections: Count
  /** How long running requests may take after `close()`. */
  readonly drain: Milliseconds
}

/** Hears of connections on which no request could be read. */
export interface UnreadableObserver {
  unreadable(code: ReasonCode): void
}

/** For `createServer` of node:http and node:https. */
export function agentServerOptions(limits: ListenerLimits): ServerOptions {
  return {
    maxHeaderSize: limits.headBytes,
    headersTimeout: limits.timeoutHead,
    requestTimeout: limits.timeoutRequest,
    keepAliveTimeout: limits.timeoutKeepAlive,
    connectionsCheckingInterval: Math.min(1_000, limits.timeoutHead),
    // A guest's Host means nothing here, and HTTP/1.0 guests behind haproxy send none.
    requireHostHeader: false,
    noDelay: true,
  }
}

/** Bounds the connections of a server, has it read all that a head says, and say why it cannot read one. */
export function refuseUnreadable(
  server: Server,
  limits: ListenerLimits,
  observer: UnreadableObserver | undefined,
): void {
  const refuse = (socket: Duplex, code: ReasonCode): void => {
    observer?.unreadable(code)
    endWith(socket, code)
  }
  server.maxConnections = limits.connections
  // Past this number Node drops header lines without a word: a guest behind haproxy that sends enough of them would have haproxy's own,
  // which come last, dropped. The head's size bounds them.
  server.maxHeadersCount = 0
  server.on('clientError', (error: ParserError, socket: Duplex) => {
    const code = parserRefusal(error)
    // An answer in the middle of another would be read as a part of it.
    const isAnswering = (socket as { _httpMessage?: unknown })._httpMessage
    if (code === undefined || !socket.writable || isAnswering) socket.destroy()
    else refuse(socket, code)
  })
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    refuse(socket, 'method_not_supported')
  })
}

function endWith(socket: Duplex, code: ReasonCode): void {
  const { status, headers, body } = errorResponse(code)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}connection: close\r\n\r\n${body}`,
  )
}

/** How many connections a server has; 0 while that cannot be told. */
export function connectionsOf(server: Server): Promise<Count> {
  return new Promise((resolve) => {
    server.getConnections((error, count) => resolve(error ? 0 : count))
  })
}
