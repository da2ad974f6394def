import t from 'tap'
import { readResponseHead, type ResponseHead } from '../../../lib/fast-http/response-head.ts'

function read(lines: string, isToHead = false): ResponseHead | undefined {
  return readResponseHead(`${lines.replaceAll('\n', '\r\n')}\r\n\r\n`, isToHead)
}

t.test('a usual response has its kind', async (t) => {
  t.strictSame(read('HTTP/1.1 200 OK\nContent-Type: text/plain \nContent-Length: 2'), {
    status: 200,
    fields: ['Content-Type', 'text/plain', 'Content-Length', '2'],
    framing: 'length',
    length: 2,
    isLast: false,
    keepAlive: undefined,
  })
  const more = read(
    'HTTP/1.1 404\nContent-Length: 0\nConnection: x, close\nKeep-Alive: max=3, timeout=5',
  )
  t.match(more, { status: 404, isLast: true, keepAlive: 5_000 })
})

for (const [what, lines, expected] of [
  ['chunks', 'HTTP/1.1 200 OK\nTransfer-Encoding: Chunked', { framing: 'chunked', isLast: false }],
  ['nothing', 'HTTP/1.1 200 OK', { framing: 'until-close', isLast: true }],
  ['204', 'HTTP/1.1 204 No Content\nContent-Length: 5', { framing: 'none', isLast: false }],
  ['304', 'HTTP/1.1 304 Not Modified\nContent-Length: 5', { framing: 'none', isLast: false }],
  ['an interim status', 'HTTP/1.1 103 Early Hints', { framing: 'none' }],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\nContent-Length: 5', { framing: 'length', isLast: true }],
] as const) {
  t.test(`a response with ${what} ends as RFC 9112 §6.3 has it`, async (t) => {
    t.match(read(lines), expected)
  })
}

t.test('a response to HEAD has no body', async (t) => {
  t.match(read('HTTP/1.1 200 OK\nContent-Length: 5', true), { framing: 'none', length: 0 })
})

for (const [what, lines] of Object.entries({
  'two lengths': 'HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 1',
  'a list of lengths': 'HTTP/1.1 200 OK\nContent-Length: 1,1',
  'a signed length': 'HTTP/1.1 200 OK\nContent-Length: +1',
  'a length with white space after it': 'HTTP/1.1 200 OK\nContent-Length: 1\t',
  'an empty length': 'HTTP/1.1 200 OK\nContent-Length: ',
  'a length and chunks': 'HTTP/1.1 200 OK\nContent-Length: 1\nTransfer-Encoding: chunked',
  'another coding': 'HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked',
  'two codings': 'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked',
  'chunks of HTTP/1.0': 'HTTP/1.0 200 OK\nTransfer-Encoding: chunked',
  'another protocol': 'HTTP/1.1 101 Switching Protocols\nUpgrade: x',
  'a status out of range': 'HTTP/1.1 799 X',
  'another version': 'HTTP/2.0 200 OK',
  'a folded line': 'HTTP/1.1 200 OK\nContent-Type: a\n b',
  'white space before a colon': 'HTTP/1.1 200 OK\nContent-Length : 5',
  'a control character': 'HTTP/1.1 200 OK\nETag: a\x01',
})) {
  t.test(`a response with ${what} is refused`, async (t) => {
    t.equal(read(lines), undefined)
  })
}

t.test('a response with bare line feeds is refused', async (t) => {
  t.equal(readResponseHead('HTTP/1.1 200 OK\nContent-Length: 0\n\n', false), undefined)
})
