import { createServer } from 'node:http'
import { Duplex } from 'node:stream'
import t from 'tap'
import { SeededRandom } from '../../support/random.ts'
import {
  readGetFields,
  readGetRequest,
  type GetFields,
} from '../../../lib/fast-http/request-head.ts'

const usual = 'GET /openstack/latest/meta_data.json?a=1 HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n'

function read(text: string): (GetFields & { readonly target: string }) | undefined {
  const request = readGetRequest(text)
  const fields = request && readGetFields(request.block)
  return request && fields && { target: request.target, ...fields }
}

t.test('a usual request of a guest is read', async (t) => {
  t.strictSame(read(usual), {
    target: '/openstack/latest/meta_data.json?a=1',
    fields: ['Host', '169.254.169.254'],
    isLast: false,
  })
})

t.test('white space before a value is no part of it', async (t) => {
  t.strictSame(read('GET / HTTP/1.1\r\nHost:\t a b\r\nX:\xa0\r\nY: \r\n\r\n')?.fields, [
    'Host',
    'a b',
    'X',
    '\xa0',
    'Y',
    '',
  ])
})

t.test('a request states whether the connection ends', async (t) => {
  const asking = (value: string): boolean | undefined =>
    read(`GET / HTTP/1.1\r\nHost: a\r\nConnection: ${value}\r\n\r\n`)?.isLast
  t.equal(asking('close'), true)
  t.equal(asking('Keep-Alive'), false)
  t.equal(asking('close, x'), undefined)
  t.equal(asking('upgrade'), undefined)
})

const others: Readonly<Record<string, string>> = {
  'another method': 'POST / HTTP/1.1\r\nHost: a\r\n\r\n',
  HEAD: 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
  'another version': 'GET / HTTP/1.0\r\nHost: a\r\n\r\n',
  'absolute form': 'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n',
  'no Host': 'GET / HTTP/1.1\r\nX: a\r\n\r\n',
  'no field': 'GET / HTTP/1.1\r\n\r\n',
  'two Hosts': 'GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n',
  'a length': 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
  chunks: 'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
  'an expectation': 'GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n',
  'an upgrade': 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n',
  'a connection to the proxy': 'GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n',
  'two connection fields':
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: close\r\n\r\n',
  'a folded line': 'GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n',
  'a bare line feed': 'GET / HTTP/1.1\nHost: a\r\n\r\n',
  'a bare line feed in a value': 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n',
  'a bare carriage return': 'GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n',
  'white space before the colon': 'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
  'white space after a value': 'GET / HTTP/1.1\r\nHost: a \r\n\r\n',
  'a NUL': 'GET / HTTP/1.1\r\nHost: a\0\r\n\r\n',
  'an empty name': 'GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n',
  'two spaces': 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n',
  'a byte after the head': 'GET / HTTP/1.1\r\nHost: a\r\n\r\nx',
  'a line before the head': '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'no end': 'GET / HTTP/1.1\r\nHost: a\r\n',
  'two requests': usual + usual,
}
for (const [what, text] of Object.entries(others)) {
  t.test(`a request with ${what} is left to the general parser`, async (t) => {
    t.equal(read(text), undefined)
  })
}

/** The other end of a pair of streams in memory. */
class Wire extends Duplex {
  override _read(): void {
    // Fed by push().
  }
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }
}

interface GeneralReading {
  readonly target: string | undefined
  readonly fields: readonly string[]
  readonly isLast: boolean
}

/** What Node's server makes of the bytes: requests, and whether it complained. */
async function readByNode(text: string): Promise<readonly GeneralReading[] | 'refused'> {
  const readings: GeneralReading[] = []
  let isRefused = false
  const server = createServer({ requireHostHeader: false }, (request, response) => {
    readings.push({
      target: request.url,
      fields: request.rawHeaders,
      isLast: !response.shouldKeepAlive,
    })
    request.on('data', () => (isRefused = true))
    response.end()
  })
  server.on('clientError', () => (isRefused = true))
  const wire = new Wire()
  server.emit('connection', wire)
  wire.push(Buffer.from(text, 'latin1'))
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  wire.destroy()
  return isRefused ? 'refused' : readings
}

const pieces = [
  ...['\r', '\n', '\r\n', '\0', ' ', '\t', ':', '\xff', '\x7f', '"', '#', '?', '//', '%00', 'é'],
  ...['Host: b\r\n', 'Connection: close\r\n', 'Connection: keep-alive\r\n', 'X-A: \r\n'],
  ...['Content-Length: 1\r\n', 'Transfer-Encoding: chunked\r\n', 'GET ', 'HTTP/1.1', 'HTTP/1.0'],
]

function mutated(text: string, random: SeededRandom): string {
  let changed = text
  const next = (limit: number): number => random.below(limit)
  for (let changes = 1 + next(3); changes > 0; changes -= 1) {
    const at = next(changed.length + 1)
    const piece = pieces[next(pieces.length)] ?? ''
    changed = changed.slice(0, at) + piece + changed.slice(at + next(3))
  }
  return changed
}

t.test('what is plain is read as Node reads it, whatever is done to a request', async (t) => {
  const random = new SeededRandom(20_260_101)
  let plain = 0
  for (let round = 0; round < 4_000; round += 1) {
    const text = mutated(
      round % 2 === 0 ? usual : usual.replace('\r\n\r\n', '\r\nA: b\r\n\r\n'),
      random,
    )
    const ours = read(text)
    if (ours === undefined) continue
    plain += 1
    t.strictSame(await readByNode(text), [ours], JSON.stringify(text))
  }
  t.ok(plain > 200, `${plain} of them were plain`)
})
