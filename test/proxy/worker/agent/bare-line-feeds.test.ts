import t from 'tap'
import { BareHead } from '../../../../proxy/worker/agent/bare-line-feeds.ts'

function mendInPieces(text: string, size: number): string {
  const head = new BareHead()
  let mended = ''
  for (let at = 0; at < text.length; at += size) {
    mended += head.mend(Buffer.from(text.slice(at, at + size))).toString()
  }
  return mended
}

const cases = [
  ['a bare head', 'HTTP/1.1 404 X\nA: b\n\nx\ny\n', 'HTTP/1.1 404 X\r\nA: b\r\n\r\nx\ny\n'],
  [
    'a proper head',
    'HTTP/1.1 200 X\r\nA: b\r\n\r\nx\ny\n\n',
    'HTTP/1.1 200 X\r\nA: b\r\n\r\nx\ny\n\n',
  ],
  ['a head that only begins properly', 'HTTP/1.1 200 X\r\nA: b\n\n', 'HTTP/1.1 200 X\r\nA: b\n\n'],
  [
    'a head that ends properly',
    'HTTP/1.1 200 X\nA: b\r\n\r\nx\n',
    'HTTP/1.1 200 X\r\nA: b\r\n\r\nx\n',
  ],
] as const
for (const [what, given, wanted] of cases) {
  t.test(`BareHead treats ${what} alike in whatever pieces it comes`, async (t) => {
    for (let size = 1; size <= given.length; size += 1) t.equal(mendInPieces(given, size), wanted)
  })
}
