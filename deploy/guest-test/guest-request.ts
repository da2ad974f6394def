/** What does a guest get for a request from inside its own namespace, and how long does it wait? */
import { Socket } from 'node:net'
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import type { Bytes, Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { metadataIpv4, metadataTcpPort } from '../../lib/wire/metadata-address.ts'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import { connectIn } from '../../proxy/netns/connect-in.ts'
import { openNamespace } from '../../proxy/netns/namespace-handle.ts'
import type { NamespaceWindow } from '../../proxy/netns/window.ts'
import { roundTripOf } from './round-trip.ts'

/** A whole answer. */
export interface GuestAnswer {
  /** What the network took to make the connection, and all of it to the last byte. */
  readonly connected: Milliseconds
  readonly answered: Milliseconds
  readonly status: number
  /** Of overlapd; absent when something else answered. */
  readonly requestId?: string
  /** Why overlapd refused. */
  readonly reason?: string
  readonly body: string
}

/** No answer came. */
export interface NoAnswer {
  /** Absent when no connection came to be. */
  readonly connected?: Milliseconds
  /** The kernel's word, or a few words. */
  readonly why: string
}

/** A longer answer is none of metadata. */
export const mostAnswer: Bytes = 4 * 1024 * 1024

/**
 * Sends one GET to the metadata address from inside a namespace, as any program of the guest would.
 * @param path of the namespace
 * @throws {SystemCallError} when the namespace cannot be entered, or NodeJS.ErrnoException when there is none
 */
export function requestAsGuest(
  window: NamespaceWindow,
  path: string,
  target: string,
  clock: Clock,
  limit: Milliseconds,
): Promise<GuestAnswer | NoAnswer> {
  const handle = openNamespace(path)
  const began = clock.now()
  let fd: number
  try {
    const address: IpAddress = metadataIpv4
    fd = connectIn(window, handle, {
      address,
      tcpPort: metadataTcpPort,
      interfaceIndex: 0,
      overLoopback: false,
    })
  } finally {
    handle.close()
  }
  const socket = new Socket({ fd, readable: true, writable: true })
  return new Promise((resolve) => {
    let connected: Milliseconds | undefined
    let text = ''
    const finish = (outcome: GuestAnswer | NoAnswer): void => {
      cancel()
      socket.destroy()
      resolve(outcome)
    }
    const fail = (why: string): void =>
      finish({ ...(connected !== undefined && { connected }), why })
    const cancel = clock.schedule(limit, () => fail('no answer in time'))
    socket.setEncoding('latin1')
    socket.on('error', (cause: NodeJS.ErrnoException) => fail(cause.code ?? cause.message))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.length > mostAnswer) fail('the answer has no end')
    })
    socket.on('end', () => {
      const answered = clock.now() - began
      const network = roundTripOf(fd) ?? connected
      const answer = readAnswer(text)
      if (answer === undefined) fail('closed without an answer')
      else finish({ connected: Math.min(network ?? answered, answered), answered, ...answer })
    })
    // What is written waits until there is a connection.
    const head = `GET ${target} HTTP/1.1\r\nHost: ${metadataIpv4}\r\nUser-Agent: overlapd-test\r\nConnection: close\r\n\r\n`
    socket.write(head, () => (connected = clock.now() - began))
  })
}

function readAnswer(text: string): Omit<GuestAnswer, 'connected' | 'answered'> | undefined {
  const end = text.indexOf('\r\n\r\n')
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1]
  if (end === -1 || status === undefined) return undefined
  const head = text.slice(0, end)
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}: ([\\w-]+)\\r?$`, 'im').exec(head)?.[1]
  const requestId = field(wireHeaders.requestId)
  const reason = field(wireHeaders.reason)
  return {
    status: Number(status),
    ...(requestId !== undefined && { requestId }),
    ...(reason !== undefined && { reason }),
    body: text.slice(end + 4),
  }
}
