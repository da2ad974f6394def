/** Do the readers of heads and Node's parser ever read the same bytes differently? */
import t from 'tap'
import { readGetFields, readGetRequest } from '../../../lib/fast-http/request-head.ts'
import { readResponseHead } from '../../../lib/fast-http/response-head.ts'
import { SeededRandom } from '../../support/random.ts'
import { readByClient, readByServer } from '../../support/node-reading.ts'

const names = [
  'Host',
  'host',
  'Connection',
  'Content-Length',
  'content-length',
  'Content_Length',
  'Transfer-Encoding',
  'TE',
  'Trailer',
  'Expect',
  'Upgrade',
  'Proxy-Connection',
  'Keep-Alive',
  'X-Forwarded-For',
  'X_Forwarded_For',
  'X-Instance-ID',
  'Accept',
  '__proto__',
  "!#$%&'*+.^_`|~-",
  'X\u00E9',
  ' Host',
  'Host ',
  'X\tY',
  '',
  ':',
]
const values = [
  'x',
  '',
  ' ',
  '0',
  '5',
  '+5',
  '-1',
  '5, 5',
  '5 ',
  '0x5',
  'chunked',
  'identity',
  'gzip, chunked',
  'close',
  'Close',
  'keep-alive',
  'keep-alive, close',
  'upgrade',
  'Upgrade, close',
  'timeout=5',
  '100-continue',
  'h2c',
  'a:b',
  'a\tb',
  'caf\u00E9',
  'a\u0000b',
  'a\u0001b',
  'a\u007Fb',
  'a\rb',
  'a\nb',
  'a\r\n folded',
  'a\r\nHost: y',
]
const separators = [': ', ':', ':  ', ':\t', ' : ', '', ' ', ':\r\n ', ': \u00A0']
const ends = ['\r\n', '\n', '\r', ' \r\n', '\t\r\n', '\r\n\r\n', '\r\r\n', '\u0000\r\n']
const requestLines = [
  'GET / HTTP/1.1',
  'GET /a?b=c%00&d HTTP/1.1',
  'GET //h/p HTTP/1.1',
  "GET /a;b=(c)!~*'$,@ HTTP/1.1",
  'GET  / HTTP/1.1',
  'GET / HTTP/1.0',
  'GET / HTTP/1.1 ',
  'GET /\t HTTP/1.1',
  'GET /# HTTP/1.1',
  'GET /\u00E9 HTTP/1.1',
  'GET * HTTP/1.1',
  'GET http://h/ HTTP/1.1',
  'get / HTTP/1.1',
  'GET / http/1.1',
  'GET / HTTP/1.2',
  'GET / HTTP/2.0',
  'GET / HTTP/01.1',
  'HEAD / HTTP/1.1',
  'POST / HTTP/1.1',
  'GET /',
  '\r\nGET / HTTP/1.1',
  ' GET / HTTP/1.1',
]
const statusLines = [
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 ',
  'HTTP/1.1 200',
  'HTTP/1.1 404 Not Found',
  'HTTP/1.1 503 caf\u00E9',
  'HTTP/1.1 204 No Content',
  'HTTP/1.1 205 Reset Content',
  'HTTP/1.1 304 Not Modified',
  'HTTP/1.1 100 Continue',
  'HTTP/1.1 101 Switching Protocols',
  'HTTP/1.1 600 x',
  'HTTP/1.1 20 x',
  'HTTP/1.1 2000 x',
  'HTTP/1.0 200 OK',
  'HTTP/1.1  200 OK',
  'http/1.1 200 OK',
  'HTTP/1.1 200 a\u0000b',
  '\r\nHTTP/1.1 200 OK',
]

/** Mostly right, so that what is wrong stands alone often enough. */
function head(random: (below: number) => number, lines: readonly string[], first: string): string {
  const rarely = <Item>(usual: Item, others: readonly Item[]): Item =>
    random(6) === 0 ? (others[random(others.length)] ?? usual) : usual
  const from = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item
  let text = `${rarely(from(lines.slice(0, 4)), lines)}${rarely('\r\n', ends)}`
  if (random(8) !== 0) text += `${first}\r\n`
  for (let left = random(5); left > 0; left -= 1) {
    text += `${from(names)}${rarely(': ', separators)}${from(values)}${rarely('\r\n', ends)}`
  }
  return `${text}${rarely('\r\n', ends)}`
}

const mark = 'GET /mark HTTP/1.1\r\nHost: m\r\n\r\n'

t.test(
  'what is read as a request is the same request to Node, and ends where it does',
  async (t) => {
    const numbers = new SeededRandom(0x5eed)
    const random = (limit: number): number => numbers.below(limit)
    let read = 0
    for (let round = 0; round < 8_000; round += 1) {
      const text = head(random, requestLines, 'Host: h')
      const request = readGetRequest(text)
      const fields = request && readGetFields(request.block)
      if (request === undefined || fields === undefined) continue
      read += 1
      const [first, second] = await readByServer(text + mark)
      const expected = {
        method: 'GET',
        url: request.target,
        rawHeaders: [...fields.fields],
        isLast: fields.isLast,
      }
      if (!t.strictSame(first, expected, JSON.stringify(text))) break
      if (!fields.isLast) t.match(second, { url: '/mark' }, JSON.stringify(text))
    }
    t.ok(read > 400, `${read} of them were read`)
  },
)

const firsts = ['X: y', 'Content-Length: 5', 'Transfer-Encoding: chunked']

/** What follows a head of each framing, and the body that it stands for. */
const bodies = {
  none: ['', ''],
  length: ['abcde', 'abcde'],
  chunked: ['3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n', 'abcde'],
  'until-close': ['abcde', 'abcde'],
} as const

t.test('what is read as a response is the same response to Node, and as long', async (t) => {
  const numbers = new SeededRandom(0xacce55)
  const random = (limit: number): number => numbers.below(limit)
  const read = { none: 0, length: 0, chunked: 0, 'until-close': 0 }
  for (let round = 0; round < 8_000; round += 1) {
    const text = head(random, statusLines, firsts[random(firsts.length)] ?? '')
    const response = readResponseHead(text, false)
    if (response === undefined || response.status < 200) continue
    const { status, framing, fields, length } = response
    read[framing] += 1
    const [sent, body] = bodies[framing].map((one) =>
      framing === 'length' ? one.slice(0, length) : one,
    )
    const expected = { status, rawHeaders: [...fields], body }
    if (!t.strictSame(await readByClient(text + sent), expected, JSON.stringify(text))) break
  }
  for (const [framing, count] of Object.entries(read)) t.ok(count > 10, `${framing}: ${count}`)
})
