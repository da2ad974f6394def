import { once } from 'node:events'
import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { hostText } from '../identity/tcp-address.ts'
import type { Milliseconds } from '../runtime/clock.ts'
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

/** Whether somebody listens on a UNIX socket. @throws NodeJS.ErrnoException when that cannot be found out */
export async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return false
    throw cause
  } finally {
    socket.destroy()
  }
}

/**
 * Makes way for a new UNIX socket: removes one that a dead process left behind.
 * @throws Error when somebody answers on it, or when the path is no socket
 */
export async function clearStaleSocket(path: string): Promise<void> {
  const status = lstatSync(path, { throwIfNoEntry: false })
  if (status === undefined) return
  if (!status.isSocket()) throw new Error(`Cannot listen on "${path}": it exists and is no socket`)
  if (await isAnswered(path)) {
    throw new Error(`Cannot listen on "${path}": another process answers there`)
  }
  unlinkSync(path)
}

/** Listens on a UNIX socket that never exists with wider permissions than asked for. */
async function listenOnSocket(server: Server, path: string, mode: number): Promise<void> {
  await clearStaleSocket(path)
  // bind(2) applies the umask: closing it first leaves no moment in which others could connect.
  const umask = process.umask(0o777 & ~mode)
  try {
    server.listen(path)
  } finally {
    process.umask(umask)
  }
  await once(server, 'listening')
  chmodSync(path, mode)
}

/** Begins to listen. @returns what the listener is called, as in {@link Serving.addresses} */
export async function listenAt(server: Server, at: ListenAt): Promise<string> {
  if ('socket' in at) {
    await listenOnSocket(server, at.socket, at.mode ?? 0o600)
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
 * from somebody who may open the socket.
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
