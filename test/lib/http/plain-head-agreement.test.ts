/** Do plain reading and Node's parser ever read the same bytes differently? */
import t from 'tap'
import {
  readPlainAnswer,
  readPlainRequest,
  readPlainRequestFields,
} from '../../../lib/fast-http/head.ts'
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
  'what is read as a plain request is the same request to Node, and ends where it does',
  async (t) => {
    const numbers = new SeededRandom(0x5eed)
    const random = (limit: number): number => numbers.below(limit)
    let plain = 0
    for (let round = 0; round < 8_000; round += 1) {
      const text = head(random, requestLines, 'Host: h')
      const request = readPlainRequest(text)
      const fields = request && readPlainRequestFields(request.block)
      if (request === undefined || fields === undefined) continue
      plain += 1
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
    t.ok(plain > 400, `${plain} of them were plain`)
  },
)

t.test('what is read as a plain answer is the same answer to Node, and as long', async (t) => {
  const numbers = new SeededRandom(0xacce55)
  const random = (limit: number): number => numbers.below(limit)
  let plain = 0
  for (let round = 0; round < 8_000; round += 1) {
    const text = head(random, statusLines, 'Content-Length: 5')
    const answer = readPlainAnswer(text)
    if (answer === undefined) continue
    plain += 1
    const body = 'abcde'.slice(0, answer.length)
    const expected = { status: answer.status, rawHeaders: [...answer.fields], body }
    if (!t.strictSame(await readByClient(text + body), expected, JSON.stringify(text))) break
  }
  t.ok(plain > 400, `${plain} of them were plain`)
})
