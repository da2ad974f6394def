/** How does a command send a request to the running proxy? */
import { connect } from 'node:net'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { JsonLines } from '../../lib/wire/json-lines.ts'
import {
  longestLine,
  readControlAnswer,
  type ControlAnswer,
  type ControlRequest,
} from './control-message.ts'

/** No proxy listens on the control socket. */
export class ProxyAbsentError extends Error {
  override readonly name = 'ProxyAbsentError'
}

const answerLimit: Milliseconds = 20_000

/**
 * Sends a request over the control socket, which only root may open.
 * @throws {ProxyAbsentError} when no proxy runs; Error when it does not answer, or this user may not connect
 */
export function requestProxy(socketPath: string, request: ControlRequest): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath)
    const lines = new JsonLines(longestLine)
    const fail = (cause: Error): void => {
      socket.destroy()
      const code = (cause as NodeJS.ErrnoException).code
      const isAbsent = code === 'ENOENT' || code === 'ECONNREFUSED'
      const text = `Cannot get an answer from overlapd-proxy at "${socketPath}": ${causeText(cause)}`
      reject(isAbsent ? new ProxyAbsentError(text, { cause }) : new Error(text, { cause }))
    }
    socket.setTimeout(answerLimit, () => fail(new Error('no answer in time')))
    socket.on('error', fail)
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`))
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const value of lines.take(chunk)) resolve(readControlAnswer(value))
      } catch (cause) {
        fail(cause as Error)
      }
    })
    socket.on('end', () => fail(new Error('the connection ended without an answer')))
  })
}
