/** A central agent for tests, and proxies that are nothing but a TLS connection with a certificate. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import type { Test } from 'tap'
import { RawConnection, type RawAnswer } from './raw-http.ts'
import { guestFields } from './one-guest.ts'
import type { Fields, RunningAgent } from './start-agent.ts'
import type { Issued, TestAuthority } from './test-authority.ts'

/** The listener of a central agent, for the configuration. */
export function tlsListener(
  authority: TestAuthority,
  server: Issued,
  more: Readonly<Record<string, unknown>> = {},
  tls: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  return {
    tcp: '127.0.0.1:0',
    tls: {
      certificate_file: server.certificateFile,
      key_file: server.keyFile,
      ca_file: authority.caFile,
      ...tls,
    },
    ...more,
  }
}

/** The TCP port on which the agent's only TLS listener listens. */
export async function tcpPortOf(agent: RunningAgent): Promise<number> {
  const { listeners } = await agent.agent.status()
  const address = listeners.map(({ socket }) => socket).find((one) => one.startsWith('https:'))
  return Number(address?.slice(address.lastIndexOf(':') + 1))
}

/** Connects with a certificate and waits for the end of the handshake as a client sees it. */
export async function connectAs(
  t: Test,
  tcpPort: number,
  authority: TestAuthority,
  client: Issued | undefined,
  options: ConnectionOptions = {},
): Promise<RawConnection> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: tcpPort,
    ca: readFileSync(authority.caFile),
    ...(client && {
      cert: readFileSync(client.certificateFile),
      key: readFileSync(client.keyFile),
    }),
    ...options,
  })
  t.teardown(() => socket.destroy())
  // Only a server that looks at our certificate later than we at its own lets both come.
  const connection = RawConnection.wrap(socket)
  await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')])
  return connection
}

/** One request on an open connection. @returns `undefined` when it ended instead */
export async function askOver(
  connection: RawConnection,
  fields: Fields = guestFields,
  target = '/',
): Promise<RawAnswer | undefined> {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  void connection.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n${lines}\r\n`)
  return connection.answer()
}
