/** Does a guest get what compute says, whatever that is and whichever way it comes? */
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { guestPort, startLeasePair, type LeasePair } from '../support/lease-pair.ts'
import { get, type RawAnswer } from '../support/raw-http.ts'
import { novaLike } from '../support/recording-upstream.ts'

interface Said {
  readonly what: string
  readonly status?: number
  /** Whole lines. */
  readonly fields?: readonly string[]
  /** As it stands on the wire, with its framing. @default the body with its length */
  readonly framed?: Buffer | string
  readonly body?: Buffer | string
}

const everyByte = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
const packed = gzipSync(everyByte)

/** Also those that Nova never gives: something may stand before it. */
const statuses = [
  200, 201, 202, 203, 206, 300, 301, 302, 307, 308, 400, 401, 402, 403, 404, 405, 406, 409, 410,
  411, 412, 413, 414, 415, 416, 417, 418, 422, 423, 425, 426, 428, 429, 431, 451, 500, 501, 502,
  503, 504, 505, 507, 511, 599,
]

const saids: readonly Said[] = [
  ...statuses.map((status) => ({ what: String(status), status, body: `as ${status}` })),
  { what: '204', status: 204, framed: '' },
  { what: '304 with its ETag', status: 304, fields: ['ETag: "1"'], framed: '' },
  { what: 'an empty 200, as public-ipv4 and password are', body: '' },
  { what: 'an empty 404', status: 404, body: '' },
  { what: 'no content type', fields: [], body: 'x' },
  { what: 'a type without charset', fields: ['Content-Type: application/json'], body: '{}' },
  { what: 'a type with one', fields: ['Content-Type: text/html; charset=UTF-8'], body: 'x' },
  {
    what: 'a charset that is wrong',
    fields: ['Content-Type: text/plain; charset=utf-8'],
    body: everyByte,
  },
  { what: 'a type nobody knows', fields: ['content-TYPE: application/x-shar'], body: everyByte },
  { what: 'bytes that are no text', body: everyByte },
  { what: 'packed user data, called text', fields: ['Content-Type: text/plain'], body: packed },
  { what: 'an answer that is packed', fields: ['Content-Encoding: gzip'], body: packed },
  {
    what: 'an answer that says so wrongly',
    fields: ['Content-Encoding: gzip'],
    body: 'not packed',
  },
  { what: 'line ends of every sort', body: '\r\n\n\r\0\r\n\r\n' },
  { what: 'an answer that looks like a head', body: 'HTTP/1.1 200 OK\r\n\r\n' },
  { what: 'a body of 300 KB', body: Buffer.alloc(300_000, everyByte) },
  {
    what: 'chunks',
    fields: ['Transfer-Encoding: chunked'],
    framed: '3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n',
    body: 'abcde',
  },
  { what: 'a body that ends with the connection', framed: everyByte, body: everyByte },
  {
    what: 'a moment to come back at',
    status: 503,
    fields: ['Retry-After: Fri, 01 Jan 2027 00:00:00 GMT'],
    body: '',
  },
]

/** What a guest must see of the head, as it was said; anything else of it is none of its business. */
const shown = ['content-type', 'content-encoding', 'retry-after', 'etag']

function wire({ status = 200, fields = [], framed, body = '' }: Said): Buffer {
  const length = framed === undefined ? [`Content-Length: ${Buffer.byteLength(body)}`] : []
  const head = [`HTTP/1.1 ${status} Said`, ...fields, ...length, 'Connection: close', '', '']
  return Buffer.concat([Buffer.from(head.join('\r\n')), Buffer.from(framed ?? body)])
}

function valueOf({ fields = [] }: Said, name: string): string | undefined {
  const line = fields.find((one) => one.toLowerCase().startsWith(`${name}:`))
  return line?.slice(line.indexOf(':') + 1).trim()
}

const port = guestPort(1)

/** One request, written as it is, whose answer compute gives as it is. */
async function askFor(
  { upstream, worker }: LeasePair,
  said: Said,
  request: string,
): Promise<RawAnswer | undefined> {
  const connection = await worker.connectAs(port)
  upstream.answer = (_request, response) => void response.socket?.end(wire(said))
  void connection.write(request)
  const answer = await connection.answer({ isHead: request.startsWith('HEAD') })
  connection.close()
  upstream.answer = novaLike('s3cr3t')
  return answer
}

for (const way of ['over the agent', 'under a lease'] as const) {
  t.test(`every answer of compute reaches the guest as it is, ${way}`, async (t) => {
    const isDirect = way === 'under a lease'
    const pair = await startLeasePair(t, { leasing: { enabled: isDirect } })
    pair.directory.setPorts(port)
    pair.directory.remember()
    for (const said of saids) {
      if (isDirect && (await pair.worker.leases()) === 0) await pair.worker.askUntilLeased(port)
      const before = await pair.worker.direct()

      const answer = await askFor(pair, said, get('/openstack/latest/user_data'))

      t.equal((await pair.worker.direct()) > before, isDirect, `${said.what}: ${way}`)
      t.equal(answer?.status, said.status ?? 200, said.what)
      t.ok(answer?.body.equals(Buffer.from(said.body ?? '')), `${said.what}: the same bytes`)
      for (const name of shown) t.equal(answer?.field(name), valueOf(said, name), said.what)
      t.equal(answer?.field('x-overlapd-reason'), undefined, `${said.what} is not our word`)
    }
  })

  t.test(`HEAD and HTTP/1.0 get the same head, ${way}`, async (t) => {
    const isDirect = way === 'under a lease'
    const pair = await startLeasePair(t, { leasing: { enabled: isDirect } })
    pair.directory.setPorts(port)
    pair.directory.remember()
    for (const said of saids.filter(({ status = 200 }) => status === 200)) {
      if (isDirect && (await pair.worker.leases()) === 0) await pair.worker.askUntilLeased(port)
      const old = await askFor(pair, said, 'GET /latest/user-data HTTP/1.0\r\n\r\n')
      const head = await askFor(pair, said, 'HEAD /latest/user-data HTTP/1.0\r\n\r\n')

      t.ok(old?.body.equals(Buffer.from(said.body ?? '')), `${said.what}: the same bytes`)
      t.notOk(old?.field('transfer-encoding'), 'HTTP/1.0 knows no chunks')
      for (const name of shown) {
        t.equal(old?.field(name), valueOf(said, name), said.what)
        t.equal(head?.field(name), valueOf(said, name), said.what)
      }
    }
  })
}
