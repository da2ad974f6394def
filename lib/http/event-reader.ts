/** How is a stream of server-sent events read from a daemon? */
import { request, type IncomingMessage } from 'node:http'
import type { Count } from '../runtime/clock.ts'
import { adminTarget, AdminUnreachableError, type AdminAddress } from './admin-client.ts'

/** One event of a stream. */
export interface StreamEvent {
  readonly kind: string
  readonly data: unknown
}

/** Ours are a fraction of that. */
const longestEvent: Count = 256 * 1024

/**
 * Opens a stream and reads it until it ends or the signal aborts, which both end the loop.
 * @throws {AdminUnreachableError} when there is no stream, or when it breaks
 */
export async function* readEvents(
  address: AdminAddress,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  try {
    const incoming = await open(address, path, signal)
    incoming.setEncoding('utf8')
    let text = ''
    for await (const chunk of incoming) {
      text += String(chunk)
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      if (text.length > longestEvent) throw new Error('an event is too long')
      for (const one of events) {
        const event = readEvent(one)
        if (event !== undefined) yield event
      }
    }
  } catch (cause) {
    if (signal.aborted) return
    throw cause instanceof AdminUnreachableError ? cause : new AdminUnreachableError(address, cause)
  }
}

function open(address: AdminAddress, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'admin', accept: 'text/event-stream' }
    const where = adminTarget(address, path)
    const settings = { headers, signal, agent: false }
    const outgoing =
      where instanceof URL ? request(where, settings) : request({ ...settings, ...where })
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      if (incoming.statusCode === 200) resolve(incoming)
      else void refused(incoming).then(reject, reject)
    })
    outgoing.end()
  })
}

async function refused(incoming: IncomingMessage): Promise<Error> {
  let text = ''
  for await (const chunk of incoming.setEncoding('utf8')) text += String(chunk)
  const message = /"message":"([^"]*)"/.exec(text)?.[1]
  return new Error(message ?? `it answered with status ${incoming.statusCode ?? 0}`)
}

/** @returns `undefined` for a comment */
function readEvent(text: string): StreamEvent | undefined {
  const lines = text.split('\n')
  const kind = lines.find((line) => line.startsWith('event: '))?.slice('event: '.length)
  const data = lines.find((line) => line.startsWith('data: '))?.slice('data: '.length)
  if (kind === undefined || data === undefined) return undefined
  return { kind, data: JSON.parse(data) as unknown }
}
