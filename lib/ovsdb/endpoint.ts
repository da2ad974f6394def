import { readFile } from 'node:fs/promises'
import { connect as connectSocket, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { causeText } from '../runtime/errors.ts'
import { parseIpAddress } from '../identity/ip-address.ts'
import { hostText, parseHostPort } from '../identity/tcp-address.ts'
import { systemAuthorities } from '../files/system-authorities.ts'
import { OvsdbError } from './ovsdb-error.ts'

/** Where an OVSDB server listens, in the notation of ovsdb(7): `unix:/run/x.sock`, `tcp:10.0.0.1:6642`, `ssl:[fd00::1]:6642`. */
export type OvsdbEndpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp' | 'ssl'; readonly host: string; readonly tcpPort: number }

/** Files for `ssl:` endpoints. They are read at each connect, so renewed ones need no restart. */
export interface OvsdbTlsFiles {
  readonly privateKey?: string | undefined
  readonly certificate?: string | undefined
  readonly caCertificate?: string | undefined
  /**
   * Whether the server's certificate must name the host of the endpoint. Open vSwitch's own tools never require
   * that, and the certificates that `ovs-pki` makes name no host: the chain to the private CA is the proof.
   */
  readonly verifyHost: boolean
}

/** @returns `undefined` when the text is no endpoint */
export function parseOvsdbEndpoint(text: string): OvsdbEndpoint | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice(5)
    return path.startsWith('/') && !path.includes('\0') ? { kind: 'unix', path } : undefined
  }
  const [, kind, place = ''] = /^(tcp|ssl):(.+)$/.exec(text) ?? []
  const server = parseHostPort(place)
  return server && { kind: kind === 'ssl' ? 'ssl' : 'tcp', ...server }
}

/** The notation that {@link parseOvsdbEndpoint} reads. */
export function ovsdbEndpointText(endpoint: OvsdbEndpoint): string {
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}`
  return `${endpoint.kind}:${hostText(endpoint.host)}:${endpoint.tcpPort}`
}

/** What {@link OvsdbTlsFiles} hold, as PEM texts. Holds a private key: never logged. */
export interface OvsdbTlsMaterial {
  readonly privateKey?: string
  readonly certificate?: string
  readonly caCertificate?: string
  readonly verifyHost: boolean
}

/** @throws NodeJS.ErrnoException when one cannot be read */
export async function readOvsdbTlsFiles(files: OvsdbTlsFiles): Promise<OvsdbTlsMaterial> {
  const [privateKey, certificate, caCertificate] = await Promise.all(
    [files.privateKey, files.certificate, files.caCertificate].map(async (path) =>
      path === undefined ? undefined : await readFile(path, 'utf8'),
    ),
  )
  return {
    ...(privateKey !== undefined && { privateKey }),
    ...(certificate !== undefined && { certificate }),
    ...(caCertificate !== undefined && { caCertificate }),
    verifyHost: files.verifyHost,
  }
}

function open(endpoint: OvsdbEndpoint, material: OvsdbTlsMaterial | undefined): Socket {
  if (endpoint.kind === 'unix') return connectSocket({ path: endpoint.path })
  const { host, tcpPort: port } = endpoint
  if (endpoint.kind === 'tcp') return connectSocket({ host, port })
  const { privateKey: key, certificate: cert, caCertificate: ca, verifyHost } = material ?? {}
  const authorities = ca ?? systemAuthorities()
  const isName = parseIpAddress(host) === undefined
  return connectTls({
    host,
    port,
    ...(key !== undefined && { key }),
    ...(cert !== undefined && { cert }),
    ...(authorities !== undefined && { ca: authorities }),
    ...(isName && { servername: host }),
    ...(verifyHost === false && { checkServerIdentity: () => undefined }),
  })
}

/** Connects, TLS handshake included. @throws OvsdbError `unreachable`; the signal ends the attempt */
export async function connectOvsdbEndpoint(
  endpoint: OvsdbEndpoint,
  tls: OvsdbTlsFiles | (() => Promise<OvsdbTlsMaterial>) | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  let socket: Socket | undefined
  try {
    const read = typeof tls === 'object' ? () => readOvsdbTlsFiles(tls) : tls
    socket = open(endpoint, endpoint.kind === 'ssl' ? await read?.() : undefined)
    await connected(socket, endpoint.kind === 'ssl' ? 'secureConnect' : 'connect', signal)
    socket.setNoDelay(true)
    return socket
  } catch (cause) {
    socket?.destroy()
    const where = ovsdbEndpointText(endpoint)
    throw new OvsdbError('unreachable', `Cannot connect to "${where}": ${causeText(cause)}`, {
      cause,
    })
  }
}

function connected(socket: Socket, event: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      socket.destroy()
      reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
    }
    socket.once(event, () => {
      signal.removeEventListener('abort', abort)
      socket.removeAllListeners('error')
      resolve()
    })
    socket.once('error', (cause) => {
      signal.removeEventListener('abort', abort)
      reject(cause)
    })
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
