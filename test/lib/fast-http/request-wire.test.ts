/** Does it matter how the bytes of a connection are cut? No: the requests are those of the same bytes in one piece. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { Socket } from 'node:net'
import * as fc from 'fast-check'
import t from 'tap'
import { RequestWire } from '../../../lib/fast-http/request-wire.ts'

const head = 'Host: a\r\n'
const requests = [
  `GET /a HTTP/1.1\r\n${head}\r\n`,
  `GET /bare HTTP/1.1\nHost: a\n\n`,
  `\r\n\r\nGET /empty-lines HTTP/1.1\r\n${head}\r\n`,
  `HEAD /head HTTP/1.1\r\n${head}X-Long: ${'x'.repeat(300)}\r\n\r\n`,
  `POST /length HTTP/1.1\r\n${head}Content-Length: 5\r\n\r\nab\r\nc`,
  `POST /none HTTP/1.1\r\n${head}Content-Length: 0\r\n\r\n`,
  `POST /chunks HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\na\r\n\r\n1\r\nb\r\n0\r\nT: x\r\n\r\n`,
]
const last = `GET /last HTTP/1.1\r\n${head}\r\n`
/** With one of these the connection is over. */
const ends = [
  last,
  'GET /bad HTTP/1.1\r\nBad Name: x\r\n\r\n',
  'BREW \0\r\n\r\n',
  `POST /bad HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
  `POST /bad HTTP/1.1\r\n${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
]

/** What Node's server makes of the bytes, given to it by a wire in these pieces. */
async function readIn(pieces: readonly Buffer[]): Promise<readonly string[]> {
  const seen: string[] = []
  let over = (): void => undefined
  const isOver = new Promise<void>((resolve) => (over = resolve))
  const server: Server = createServer({ requireHostHeader: false })
  const client = new Socket()
  // Answers go nowhere: only what is read counts.
  client._write = (_chunk, _encoding, done) => done()
  client._writev = (_chunks, done) => done()
  let rest = Buffer.alloc(0)
  const feed = (): void => {
    while (rest.length > 0) {
      const taken = wire.feed(rest)
      rest = rest.subarray(taken)
      if (taken === 0) return
    }
  }
  const wire = new RequestWire(client, {
    wanted: () => setImmediate(feed),
    wireEnded: () => undefined,
  })
  server.on('request', (request: IncomingMessage, response) => {
    wire.began(request, response)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('latin1')
      const isBare = wire.isHeadBare
      seen.push(JSON.stringify([request.method, request.url, request.rawHeaders, body, isBare]))
      response.end()
      if (request.url === '/last') over()
    })
  })
  server.on('clientError', (error: NodeJS.ErrnoException) => {
    seen.push(String(error.code))
    wire.destroy()
    over()
  })
  server.emit('connection', wire)
  for (const piece of pieces) {
    rest = Buffer.concat([rest, piece])
    feed()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await isOver
  wire.destroy()
  server.close()
  return seen
}

function cutAt(text: string, places: readonly number[]): readonly Buffer[] {
  const bytes = Buffer.from(text, 'latin1')
  const cuts = [0, ...places.toSorted((one, other) => one - other), bytes.length]
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end))
}

t.test('one cut, at every place of every pair of requests', async (t) => {
  for (const first of requests) {
    for (const end of ends) {
      const text = `${first}${end}`
      const whole = await readIn(cutAt(text, []))
      for (let place = 1; place < text.length; place += 1) {
        const cut = await readIn(cutAt(text, [place]))
        if (cut.join('\n') === whole.join('\n')) continue
        t.strictSame(cut, whole, `${JSON.stringify(text)} cut at ${place}`)
      }
      t.ok(whole.length > 0, JSON.stringify(end))
    }
  }
})

t.test('byte by byte', async (t) => {
  for (const end of ends) {
    const text = `${requests.join('')}${end}`
    const everywhere = Array.from({ length: text.length - 1 }, (_, index) => index + 1)
    const whole = await readIn(cutAt(text, []))
    t.equal(whole.length, requests.length + 1)
    t.strictSame(await readIn(cutAt(text, everywhere)), whole)
  }
})

t.test('many requests, cut anywhere', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...requests), { minLength: 1, maxLength: 5 }),
      fc.constantFrom(...ends),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
      async (several, end, shares) => {
        const text = `${several.join('')}${end}`
        const places = shares.map((share) => Math.floor(share * text.length))
        const [cut, whole] = [await readIn(cutAt(text, places)), await readIn(cutAt(text, []))]
        return cut.join('\n') === whole.join('\n')
      },
    ),
    { numRuns: 200 },
  )
  t.pass('200 connections')
})
