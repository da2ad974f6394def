/** What does the agent answer for a guest that cannot be made to send a request itself? Sends as a worker of the proxy does. */
import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import type { FoundGuest } from '../../lib/operator/guest-search.ts'
import { mostAnswer, type GuestAnswer, type NoAnswer } from './guest-request.ts'

/** @param socket UNIX socket on which the agent listens for workers */
export function requestAsWorker(
  socket: string,
  guest: FoundGuest,
  target: string,
  clock: Clock,
  limit: Milliseconds,
): Promise<GuestAnswer | NoAnswer> {
  const [kind, id = ''] = guest.scope.split('/')
  const requestId = `test-${randomBytes(8).toString('hex')}`
  const headers = {
    [kind === 'router' ? wireHeaders.routerId : wireHeaders.networkId]: id,
    [wireHeaders.forwardedFor]: guest.address,
    ...(guest.macAddress !== '' && { [wireHeaders.sourceMac]: guest.macAddress }),
    [wireHeaders.requestId]: requestId,
  }
  const began = clock.now()
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(limit)
    const outgoing = request({ socketPath: socket, path: target, headers, signal, agent: false })
    outgoing.on('error', (cause: NodeJS.ErrnoException) => {
      resolve({ why: cause.code ?? cause.message })
    })
    outgoing.on('response', (incoming) => {
      let body = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => {
        body += chunk
        if (body.length > mostAnswer) incoming.destroy(new Error('the answer has no end'))
      })
      incoming.on('error', (cause) => resolve({ connected: 0, why: cause.message }))
      incoming.on('end', () => {
        const reason = incoming.headers[wireHeaders.reason]
        resolve({
          connected: 0,
          answered: clock.now() - began,
          status: incoming.statusCode ?? 0,
          requestId,
          ...(typeof reason === 'string' && { reason }),
          body,
        })
      })
    })
    outgoing.end()
  })
}
