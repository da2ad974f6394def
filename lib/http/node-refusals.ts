/** How is something refused that `node:http` does not hand on as a request? */
import { STATUS_CODES, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ReasonCode } from '../runtime/reason-codes.ts'
import { errorResponse } from './error-response.ts'
import { parserRefusal, type ParserError } from './parser-refusal.ts'

/** Refuses an `Expect` that is not met. What was announced is not read. */
export function refuseExpectation(response: ServerResponse): void {
  const { status, headers, body } = errorResponse('expectation_failed')
  response.shouldKeepAlive = false
  response.writeHead(status, headers).end(body)
}

/** Answers on a bare socket, and ends it. */
export function endWithRefusal(socket: Duplex, code: ReasonCode): void {
  const { status, headers, body } = errorResponse(code)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}connection: close\r\n\r\n${body}`,
  )
}

/** Gives the refusals of a server a reason code. Not for servers that answer several requests of a connection at once. */
export function refuseWithReasons(server: Server): void {
  server.on('checkExpectation', (_request, response: ServerResponse) => {
    refuseExpectation(response)
  })
  server.on('clientError', (error: ParserError, socket: Duplex) => {
    const code = parserRefusal(error)
    if (code === undefined || !socket.writable) socket.destroy()
    else endWithRefusal(socket, code)
  })
}
