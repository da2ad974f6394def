/** How is a connection to an origin opened, with TLS where its URL has it? */
import { connect, isIP } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import { systemClock, type Milliseconds } from '../runtime/clock.ts'
import type { Connect } from './request-pool.ts'

/** How connections to an origin are made. */
export interface OriginConnectorOptions {
  /** With the TLS handshake. */
  readonly timeout: Milliseconds
  readonly secureContext?: SecureContext | undefined
  readonly rejectUnauthorized: boolean
}

/** @throws TypeError for a text that is no URL */
export function originConnector(
  url: string,
  { timeout, secureContext, rejectUnauthorized }: OriginConnectorOptions,
): Connect {
  const { hostname, protocol, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const isSecure = protocol === 'https:'
  const place = { host, port: Number(port) || (isSecure ? 443 : 80), noDelay: true }
  // RFC 6066 §3: an address is no server name.
  const servername = isIP(host) === 0 ? host : ''
  return (connected) => {
    const socket = isSecure
      ? connectTls({ ...place, servername, secureContext, rejectUnauthorized })
      : connect(place)
    const giveUp = systemClock.schedule(timeout, () => {
      socket.destroy(new Error('no connection in time'))
    })
    const fail = (cause: Error): void => {
      giveUp()
      // What comes after the first error is nothing new.
      socket.on('error', () => undefined)
      connected(cause, null)
    }
    socket.once('error', fail)
    socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      giveUp()
      socket.off('error', fail)
      connected(null, socket)
    })
  }
}
