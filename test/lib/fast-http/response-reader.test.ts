import t from 'tap'
import { MalformedAnswer } from '../../../lib/fast-http/answer-handler.ts'
import { ResponseReader } from '../../../lib/fast-http/response-reader.ts'

/** Reads the text in pieces of one size. */
function read(
  text: string,
  size = text.length,
): { readonly reader: ResponseReader; readonly body: string } {
  const reader = new ResponseReader(false)
  let body = ''
  for (let at = 0; at < text.length && !reader.isOver; at += size) {
    body += reader.read(Buffer.from(text.slice(at, at + size), 'latin1')).toString('latin1')
  }
  return { reader, body }
}

const interim = 'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n'
const whole = {
  length: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde',
  chunked:
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2 ;x="y"\r\nde\r\n0\r\nX: y\r\n\r\n',
}
const untilClose = 'HTTP/1.1 200 OK\r\n\r\nabcde'

for (const [framing, text] of Object.entries(whole)) {
  t.test(`a response that ends by ${framing} is whole in whatever pieces it comes`, async (t) => {
    for (let size = 1; size <= text.length; size += 1) {
      const { reader, body } = read(interim + text, size)
      t.equal(body, 'abcde')
      t.match(reader, { isOver: true, hasExcess: false, head: { status: 200 } })
      t.equal(reader.end(), true)
    }
  })

  t.test(`bytes behind a response that ends by ${framing} are no part of it`, async (t) => {
    const { reader, body } = read(`${text}x`)
    t.equal(body, 'abcde')
    t.match(reader, { isOver: true, hasExcess: true })
  })

  t.test(
    `a response that should end by ${framing} is not whole when its connection ends`,
    async (t) => {
      for (let size = 0; size < text.length; size += 1) {
        t.equal(read(text.slice(0, size)).reader.end(), false, `after ${size} bytes`)
      }
    },
  )
}

t.test('a response that ends with its connection is whole then', async (t) => {
  const { reader, body } = read(untilClose, 7)
  t.equal(body, 'abcde')
  t.equal(reader.isOver, false)
  t.equal(reader.end(), true)
})

t.test('bytes behind a response without a body are no part of it', async (t) => {
  t.match(read('HTTP/1.1 204 No Content\r\n\r\nx').reader, { isOver: true, hasExcess: true })
})

for (const [what, text] of [
  ['a head that is none', 'hello\r\n\r\n'],
  ['a head that does not end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(17_000)}`],
  ['interim heads without end', interim.repeat(1_000)],
  ['a chunk without a size', `${whole.chunked.slice(0, 47)}x\r\n`],
  ['a chunk with a size in another notation', `${whole.chunked.slice(0, 47)}0x3\r\n`],
  ['a chunk larger than can be counted', `${whole.chunked.slice(0, 47)}10000000000000003\r\n`],
  ['a chunk longer than its size', `${whole.chunked.slice(0, 47)}3\r\nabcd\r\n`],
  ['a chunk size that ends in LF alone', `${whole.chunked.slice(0, 47)}3\nabc\r\n`],
  ['a line of a chunk that does not end', `${whole.chunked.slice(0, 47)}3;${'x'.repeat(300)}`],
  ['fields behind the chunks that are none', `${whole.chunked.slice(0, 47)}0\r\nhello\r\n`],
  [
    'fields behind the chunks without end',
    `${whole.chunked.slice(0, 47)}0\r\n${'X: y\r\n'.repeat(2_000)}`,
  ],
] as const) {
  t.test(`${what} is refused`, async (t) => {
    t.throws(() => read(text, 100), MalformedAnswer)
  })
}
