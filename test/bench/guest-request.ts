import type { Socket } from 'node:net'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { ClientConnection, type BenchAnswer } from './client-connection.ts'

/** Somewhere to ask, and the text that a right answer holds. */
export interface LoadTarget {
  /** Opens a connection as the guest of this target would. */
  connect(): Socket
  readonly path: string
  readonly expected: string
  /** Further header lines, each with its line end. */
  readonly fields?: string
}

/** How one request ended. An error says what it was: status and reason code, `broken`, `refused`, `timeout` or `no connection`. */
export type Ending =
  { readonly kind: 'right' | 'wrong' } | { readonly kind: 'error'; readonly error: string }

/** cloud-init gives up on an answer after this time. @see cloudinit/sources/DataSourceOpenStack.py url_timeout */
export const guestPatience: Milliseconds = 10_000

/** The text of a request as guests send it. */
export function requestText(path: string, keepAlive: boolean, fields = ''): string {
  const connection = keepAlive ? '' : 'Connection: close\r\n'
  return `GET ${path} HTTP/1.1\r\nHost: 169.254.169.254\r\nAccept: */*\r\n${fields}${connection}\r\n`
}

/** Opens a connection. @returns `undefined` when there is not even one to begin with */
export function openConnection(target: LoadTarget): ClientConnection | undefined {
  try {
    return new ClientConnection(target.connect())
  } catch {
    return undefined
  }
}

/** Asks on an open connection, for as long as a guest would wait. */
export async function askWithPatience(
  connection: ClientConnection | undefined,
  request: string,
  expected: string,
): Promise<Ending> {
  if (connection === undefined) return { kind: 'error', error: 'no connection' }
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    connection.destroy()
  }, guestPatience)
  const answer = await connection.ask(request, expected)
  clearTimeout(timer)
  if (isLate) return { kind: 'error', error: 'timeout' }
  if (connection.failure === 'ECONNREFUSED') return { kind: 'error', error: 'refused' }
  return endingOf(answer)
}

function endingOf(answer: BenchAnswer | undefined): Ending {
  if (answer === undefined) return { kind: 'error', error: 'broken' }
  const { status, reason = '', right } = answer
  if (status !== 200) return { kind: 'error', error: `${status} ${reason}`.trim() }
  return { kind: right ? 'right' : 'wrong' }
}

/** One request on a connection of its own, as guests do. */
export async function askOnce(target: LoadTarget, request: string): Promise<Ending> {
  const connection = openConnection(target)
  const ending = await askWithPatience(connection, request, target.expected)
  connection?.destroy()
  return ending
}

/** Counts how requests ended. */
export class Endings {
  errors = 0
  wrong = 0
  readonly errorKinds: Record<string, number> = {}

  add(ending: Ending): void {
    if (ending.kind === 'wrong') this.wrong += 1
    if (ending.kind !== 'error') return
    this.errors += 1
    this.errorKinds[ending.error] = (this.errorKinds[ending.error] ?? 0) + 1
  }

  /** As rows want it. */
  figures(): {
    readonly errors: number
    readonly wrong: number
    readonly errorKinds: Readonly<Record<string, number>> | null
  } {
    const { errors, wrong, errorKinds } = this
    return { errors, wrong, errorKinds: errors > 0 ? { ...errorKinds } : null }
  }
}
