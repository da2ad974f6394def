/** What does a guest get when it asks, and whose data is that? */
import { SystemCallError } from '../../lib/linux/libc.ts'
import type { GuestSockets } from './connect-from.ts'
import { RawConnection } from './raw-http.ts'
import type { Guest } from './segment.ts'

/** What a guest may ask for, and how. */
export interface Visit {
  /** `169.254.169.254` unless said. */
  readonly host?: string
  readonly tcpPort?: number
  /** An address of the guest to ask from. */
  readonly from?: string
  /** Whole lines of the request's head. */
  readonly fields?: readonly string[]
  readonly target?: string
}

/** What came back. */
export interface Outcome {
  /** 0 when no connection came about or no answer came. */
  readonly status: number
  /** Whose metadata it is, by the name of the instance. */
  readonly whose?: string
  /** Our reason code, or the kernel's word for why there was no connection. */
  readonly reason?: string
  readonly requestId?: string
}

export const metadataIpv6 = 'fe80::a9fe:a9fe'
const metadataPath = '/openstack/latest/meta_data.json'

/** Asks from a guest's namespace, over its own interface. A refusal by any layer is an outcome and no exception. */
export async function visit(
  sockets: GuestSockets,
  guest: Pick<Guest, 'netns' | 'interfaceIndex'>,
  { host = '169.254.169.254', tcpPort = 80, from, fields = [], target = metadataPath }: Visit = {},
): Promise<Outcome> {
  let connection: RawConnection | undefined
  try {
    const socket = sockets.connect(guest.netns, host, tcpPort, guest.interfaceIndex, from)
    let failure: string | undefined
    socket.once('error', (cause: NodeJS.ErrnoException) => (failure = cause.code))
    // A descriptor that is connecting already never tells that it has connected; what is written waits for it.
    connection = RawConnection.wrap(socket)
    const authority = host.includes(':') ? `[${host}]` : host
    const hostField = fields.some((line) => /^host:/i.test(line)) ? [] : [`Host: ${authority}`]
    const head = [`GET ${target} HTTP/1.1`, ...hostField, 'Connection: close', ...fields, '', '']
    void connection.write(head.join('\r\n'))
    const answer = await connection.answer()
    if (answer === undefined) return { status: 0, reason: failure ?? 'no answer' }
    const { status } = answer
    const requestId = answer.field('x-request-id')
    return {
      status,
      ...(status === 200 && { whose: nameIn(answer.body.toString()) }),
      ...(status !== 200 && { reason: answer.field('x-overlapd-reason') ?? 'none' }),
      ...(requestId !== undefined && { requestId }),
    }
  } catch (cause) {
    if (cause instanceof SystemCallError) return { status: 0, reason: cause.errnoName }
    throw cause
  } finally {
    connection?.close()
  }
}

function nameIn(body: string): string {
  return (JSON.parse(body) as { readonly name: string }).name
}
