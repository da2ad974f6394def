import t from 'tap'
import {
  ChunkedFraming,
  HeadFraming,
  LengthFraming,
  withCarriageReturns,
} from '../../../lib/fast-http/request-framing.ts'

/** Gives the bytes in pieces of one size, until no more belong to what is followed. @returns how many did */
function followed(framing: { follow(piece: Buffer): number }, text: string, size: number): number {
  const bytes = Buffer.from(text, 'latin1')
  let taken = 0
  while (taken < bytes.length) {
    const piece = bytes.subarray(taken, taken + size)
    const count = framing.follow(piece)
    taken += count
    if (count < piece.length) break
  }
  return taken
}

const sizes = [1, 2, 3, 7, 1_000]

t.test('HeadFraming ends at the empty line, however the bytes are cut', async (t) => {
  const heads = [
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    '\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.0\n\n',
    'GET / HTTP/1.1\r\nHost: a\n\r\n',
  ]
  for (const head of heads) {
    for (const size of sizes) {
      const framing = new HeadFraming()
      const what = `${JSON.stringify(head)} in pieces of ${size}`
      t.equal(followed(framing, `${head}GET /second HTTP/1.1\r\n\r\n`, size), head.length, what)
      t.ok(framing.isOver, what)
      t.equal(framing.isBare, /(?<!\r)\n/.test(head), what)
    }
  }
})

t.test('HeadFraming counts no empty lines before the request line', async (t) => {
  const framing = new HeadFraming()
  followed(framing, '\r\n\r\nGET / HTTP/1.1\r\n\r\n', 5)
  t.equal(framing.bytes, 'GET / HTTP/1.1\r\n\r\n'.length)
})

t.test('LengthFraming takes the length and no more', async (t) => {
  for (const size of sizes) t.equal(followed(new LengthFraming(5), 'helloGET /', size), 5)
  t.equal(new LengthFraming(0).follow(Buffer.from('GET /')), 0)
})

t.test(
  'ChunkedFraming takes chunks, extensions and trailers, however the bytes are cut',
  async (t) => {
    const bodies = [
      '0\r\n\r\n',
      '5\r\nhello\r\n0\r\n\r\n',
      '5;name="v"\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n',
      'A\r\n0123456789\r\n00\r\n\r\n',
    ]
    for (const body of bodies) {
      for (const size of sizes) {
        const what = `${JSON.stringify(body)} in pieces of ${size}`
        t.equal(
          followed(new ChunkedFraming(), `${body}GET / HTTP/1.1\r\n`, size),
          body.length,
          what,
        )
      }
    }
  },
)

t.test('ChunkedFraming ends at what is no chunk, so that the parser refuses it', async (t) => {
  t.equal(followed(new ChunkedFraming(), 'zz\r\nGET / HTTP/1.1\r\n\r\n', 1_000), 4)
})

t.test('withCarriageReturns() completes bare line ends across pieces', async (t) => {
  const whole = 'GET / HTTP/1.0\nHost: a\r\n\n'
  for (const size of sizes) {
    let previous = 0
    let text = ''
    for (let at = 0; at < whole.length; at += size) {
      const piece = Buffer.from(whole.slice(at, at + size))
      text += withCarriageReturns(piece, previous).toString()
      previous = piece.at(-1) ?? 0
    }
    t.equal(text, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n', `in pieces of ${size}`)
  }
})
