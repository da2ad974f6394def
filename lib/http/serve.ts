import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { dirname } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { hostText } from '../identity/tcp-address.ts'
import type { ConfigOf } from '../config/entry.ts'
import type { adminTable } from '../config/shared-options.ts'
import type { Milliseconds } from '../runtime/clock.ts'
import { listenPrivately } from '../sockets/private-socket.ts'
import { refuseWithReasons } from './node-refusals.ts'

/** Anything with Hono's `fetch`: the app that answers. */
export interface FetchApp {
  fetch(request: Request): Response | Promise<Response>
}

/** Where to listen: a UNIX socket with its permission bits, or a TCP address. */
export type ListenAt =
  | { readonly socket: string; readonly mode?: number }
  | { readonly host: string; readonly tcpPort: number }

export interface ServeOptions {
  readonly app: FetchApp
  readonly listen: readonly ListenAt[]
  /** How long running answers may take after `close()`. @default 5000 */
  readonly drainLimit?: Milliseconds
}

/** Servers that listen. */
export interface Serving {
  /** What each listener is called: the path of the socket, or `http://127.0.0.1:PORT` with the real port. */
  readonly addresses: readonly string[]
  /** Stops accepting, lets running answers end, removes the sockets. May be called twice. */
  close(): Promise<void>
}

/** Begins to listen. @returns what the listener is called, as in {@link Serving.addresses} */
export async function listenAt(server: Server, at: ListenAt): Promise<string> {
  if ('socket' in at) {
    await listenPrivately(server, at.socket, at.mode)
    return at.socket
  }
  server.listen(at.tcpPort, at.host)
  await once(server, 'listening')
  const bound = server.address()
  const tcpPort = typeof bound === 'object' && bound !== null ? bound.port : at.tcpPort
  return `http://${hostText(at.host)}:${tcpPort}`
}

/** Once the server is closing, has it end each connection as it becomes idle. Node ends those alone that are idle when it begins to. */
export function closeAsIdle(server: Server): void {
  server.on('request', (_request, response) => {
    response.once('close', () => {
      if (!server.listening) server.closeIdleConnections()
    })
  })
}

/** Stops accepting and lets running answers end within the limit. May be called twice. @see closeAsIdle */
export async function closeServer(server: Server, limit: Milliseconds): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), limit)
  await closed
  clearTimeout(timer)
}

/**
 * Serves an app on UNIX sockets and TCP addresses. For operators' traffic, not for guests: every byte is trusted to come
 * from a process that may open the socket.
 * @throws Error when one of them cannot be listened on; then none is
 */
export async function serveApp(options: ServeOptions): Promise<Serving> {
  const servers: Server[] = []
  const addresses: string[] = []
  const close = async (): Promise<void> => {
    const limit = options.drainLimit ?? 5_000
    await Promise.all(servers.map((server) => closeServer(server, limit)))
  }
  const answer = getRequestListener((request) => options.app.fetch(request), {
    overrideGlobalObjects: false,
  })
  for (const at of options.listen) {
    const server = createServer(
      { requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 5_000 },
      (incoming, outgoing) => void answer(incoming, outgoing),
    )
    closeAsIdle(server)
    refuseWithReasons(server)
    server.maxConnections = 100
    servers.push(server)
    try {
      addresses.push(await listenAt(server, at))
    } catch (cause) {
      await close()
      throw cause
    }
  }
  return { addresses, close }
}

/** Serves an operator's app by the section `admin` of the configuration. @throws Error as {@link serveApp} */
export function serveAdmin(
  app: FetchApp,
  { socket, mode, tcp }: ConfigOf<ReturnType<typeof adminTable>>,
): Promise<Serving> {
  mkdirSync(dirname(socket), { recursive: true, mode: 0o755 })
  const overTcp = tcp === undefined ? [] : [{ host: tcp.address, tcpPort: tcp.tcpPort }]
  return serveApp({ app, listen: [{ socket, mode }, ...overTcp] })
}
