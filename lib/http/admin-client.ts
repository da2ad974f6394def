import { request } from 'node:http'
import { terminalText } from '../observe/text-table.ts'
import type { Bytes, Milliseconds } from '../runtime/clock.ts'

/** Where an admin socket listens: the path of a UNIX socket, or `http://127.0.0.1:9100`. */
export type AdminAddress = string

/** A whole answer, whatever its status. */
export interface AdminAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

export interface AdminRequestOptions {
  /** From connecting to the last byte. @default 5000 */
  readonly timeLimit?: Milliseconds
  /** @default 16 MiB */
  readonly bodyLimit?: Bytes
  /** Sent as JSON, with POST. */
  readonly json?: unknown
  readonly signal?: AbortSignal
}

/** No daemon answered on an admin socket. The message has the socket and the reason, fit for the operator. */
export class AdminUnreachableError extends Error {
  override readonly name = 'AdminUnreachableError'
  readonly address: AdminAddress
  /** The system's word, such as `ENOENT` or `ECONNREFUSED`, where there is one. */
  readonly code: string | undefined

  constructor(address: AdminAddress, cause: unknown) {
    const code = (cause as NodeJS.ErrnoException | undefined)?.code
    // Without the cause, which the message has put into the operator's words.
    super(terminalText(`Cannot get an answer from "${address}": ${reasonText(code, cause)}`))
    this.address = address
    this.code = code
  }
}

function reasonText(code: string | undefined, cause: unknown): string {
  if (code === 'ENOENT') return 'the socket does not exist; is the daemon running?'
  if (code === 'ECONNREFUSED') return 'no daemon listens there; is it running?'
  if (code === 'EACCES') return 'this user may not open the socket'
  if (cause instanceof Error && (cause.name === 'TimeoutError' || cause.name === 'AbortError')) {
    return 'no answer in time'
  }
  return cause instanceof Error ? cause.message : String(cause)
}

/** Where a request for a path goes, in the words of `node:http`. */
export function adminTarget(
  address: AdminAddress,
  path: string,
): { readonly socketPath: string; readonly path: string } | URL {
  if (/^https?:/.test(address)) return new URL(path, address)
  return { socketPath: address.replace(/^unix:(?:\/\/)?/, ''), path }
}

/**
 * Sends a request to a daemon over its admin socket with GET, or with POST where there is something to send.
 * @throws {AdminUnreachableError} when there is no whole answer within the limits; every status is an answer
 */
export async function requestAdmin(
  address: AdminAddress,
  path: string,
  options: AdminRequestOptions = {},
): Promise<AdminAnswer> {
  const limit = AbortSignal.timeout(options.timeLimit ?? 5_000)
  const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal])
  try {
    const body = options.json === undefined ? undefined : JSON.stringify(options.json)
    return await send(address, path, body, signal, options.bodyLimit ?? 16 * 1024 * 1024)
  } catch (cause) {
    throw new AdminUnreachableError(address, signal.aborted ? signal.reason : cause)
  }
}

function send(
  address: AdminAddress,
  path: string,
  body: string | undefined,
  signal: AbortSignal,
  bodyLimit: Bytes,
): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const sent = body !== undefined && {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    }
    const headers = { host: 'admin', accept: 'application/json', connection: 'close', ...sent }
    const where = adminTarget(address, path)
    const method = body === undefined ? 'GET' : 'POST'
    const settings = { method, headers, signal, agent: false } as const
    const outgoing =
      where instanceof URL
        ? request(where, { ...settings, headers: { ...headers, host: where.host } })
        : request({ ...settings, ...where })
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = []
      let size = 0
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > bodyLimit) {
          outgoing.destroy(new Error(`the answer is longer than ${bodyLimit} bytes`))
        } else {
          chunks.push(chunk)
        }
      })
      incoming.on('error', reject)
      incoming.on('aborted', () => reject(new Error('the answer ended too early')))
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          contentType: incoming.headers['content-type'] ?? '',
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      )
    })
    outgoing.end(body)
  })
}

/** Sends a request and reads JSON. @throws {AdminUnreachableError} also when the answer is no JSON */
export async function requestAdminJson(
  address: AdminAddress,
  path: string,
  options: AdminRequestOptions = {},
): Promise<{ readonly status: number; readonly value: unknown }> {
  const { status, body } = await requestAdmin(address, path, options)
  try {
    return { status, value: JSON.parse(body) as unknown }
  } catch {
    throw new AdminUnreachableError(address, new Error(`the answer to ${path} is not JSON`))
  }
}
