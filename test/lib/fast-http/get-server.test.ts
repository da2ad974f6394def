import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { IncomingGet } from '../../../lib/fast-http/incoming-get.ts'
import type { GetResponse } from '../../../lib/fast-http/get-response.ts'
import { GetServer } from '../../../lib/fast-http/get-server.ts'
import type { ByteSocket } from '../../../lib/sockets/byte-socket.ts'
import { RequestWire } from '../../../lib/fast-http/request-wire.ts'

interface Started {
  readonly plain: GetServer
  readonly open: () => Promise<Client>
  /** Targets that Node's server was asked for. */
  readonly general: string[]
  readonly timedOut: ByteSocket[]
}

/** A server whose general part answers "general" and whose plain part does as told. */
async function start(
  t: Test,
  serve: (request: IncomingGet, response: GetResponse) => void,
  limits: { timeoutHead?: number; timeoutKeepAlive?: number } = {},
): Promise<Started> {
  const general: string[] = []
  const timedOut: ByteSocket[] = []
  const http = createHttpServer((request, response) => {
    const wire: unknown = request.socket
    if (wire instanceof RequestWire) wire.began(request, response)
    general.push(request.url ?? '')
    response.end('general')
  })
  const plain = new GetServer({
    serve,
    takeOver: (wire) => http.emit('connection', wire),
    timedOut: (socket) => {
      timedOut.push(socket)
      socket.destroy()
    },
    headBytes: 4_096,
    timeoutHead: limits.timeoutHead ?? 10_000,
    timeoutKeepAlive: limits.timeoutKeepAlive ?? 10_000,
  })
  const server = createServer({ allowHalfOpen: true }, (socket) => plain.accept(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    plain.closeAll()
    http.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const open = async (): Promise<Client> => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    t.teardown(() => socket.destroy())
    return new Client(socket)
  }
  return { plain, open, general, timedOut }
}

/** Writes text and waits for text. */
class Client {
  readonly socket: Socket
  text = ''
  readonly closed: Promise<unknown>
  #came: (() => void) | undefined

  constructor(socket: Socket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.on('close', resolve))
    socket.on('error', () => undefined)
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.text += text
      this.#came?.()
    })
  }

  async until(wanted: string): Promise<string> {
    while (!this.text.includes(wanted)) await new Promise<void>((resolve) => (this.#came = resolve))
    return this.text
  }
}

const get = (target: string, ...fields: string[]): string =>
  `GET ${target} HTTP/1.1\r\n${['Host: a', ...fields].join('\r\n')}\r\n\r\n`

function echo({ url }: IncomingGet, response: GetResponse): void {
  response.writeHead(200, ['content-length', String(url.length)]).end(Buffer.from(url))
}

t.test('a plain request is answered in one piece and the connection kept', async (t) => {
  const { open, general } = await start(t, echo)
  const client = await open()

  client.socket.write(get('/one'))

  const text = await client.until('/one')
  t.match(
    text,
    /^HTTP\/1\.1 200 OK\r\ncontent-length: 4\r\nDate: [^\r]+\r\nConnection: keep-alive\r\nKeep-Alive: timeout=10\r\n\r\n\/one$/,
  )
  client.socket.write(get('/two', 'Connection: close'))
  t.match(await client.until('/two'), /\r\nConnection: close\r\n\r\n\/two$/)
  await client.closed
  t.strictSame(general, [])
})

t.test('what is not plain goes to the general server, and the connection with it', async (t) => {
  const { open, general } = await start(t, echo)
  const client = await open()
  client.socket.write(get('/one'))
  await client.until('/one')

  client.socket.write('POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab')
  await client.until('general')
  client.text = ''
  client.socket.write(get('/two'))
  await client.until('general')

  t.strictSame(general, ['/post', '/two'])
})

t.test('a head in pieces goes to the general server', async (t) => {
  const { open, general } = await start(t, echo)
  const client = await open()
  client.socket.setNoDelay(true)
  client.socket.write('GET /pieces HTTP/1.1\r\n')
  await new Promise((resolve) => setTimeout(resolve, 20))
  client.socket.write('Host: a\r\n\r\n')
  await client.until('general')
  t.strictSame(general, ['/pieces'])
})

t.test('several requests in one go are answered in order, each once', async (t) => {
  const { open, general } = await start(t, echo)
  const client = await open()
  client.socket.write(get('/one') + get('/two') + get('/three'))
  t.match(await client.until('/three'), /\/one[^]*\/two[^]*\/three$/)
  t.strictSame(general, [], 'all of them are plain')
  client.text = ''
  client.socket.write(get('/four') + 'HEAD /five HTTP/1.1\r\nHost: a\r\n\r\n' + get('/six'))
  t.match(await client.until('general'), /\/four/)
  while (general.length < 2) await new Promise((resolve) => setImmediate(resolve))
  t.strictSame(general, ['/five', '/six'])
})

t.test('what comes while an answer is under way waits for its end', async (t) => {
  const waiting: (() => void)[] = []
  const seen: string[] = []
  const { open } = await start(t, (request, response) => {
    seen.push(request.url)
    waiting.push(() => echo(request, response))
  })
  const client = await open()
  client.socket.write(get('/one'))
  while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
  client.socket.write(get('/two'))
  for (let turn = 0; turn < 30; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  t.strictSame(seen, ['/one'])
  waiting.shift()?.()
  await client.until('/one')
  while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve))
  waiting.shift()?.()
  await client.until('/two')
  t.strictSame(seen, ['/one', '/two'])
})

t.test('an answer of unknown length is sent in chunks', async (t) => {
  const { open } = await start(t, (_request, response) => {
    response.writeHead(200, { 'x-a': 'b' })
    response.write(Buffer.from('abc'))
    response.end(Buffer.from('d'))
  })
  const client = await open()
  client.socket.write(get('/'))
  t.match(
    await client.until('0\r\n\r\n'),
    /\r\nTransfer-Encoding: chunked\r\n[^]*\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n$/,
  )
})

t.test('an answer without a body has none', async (t) => {
  const { open } = await start(t, (_request, response) => {
    response.writeHead(204, []).end()
  })
  const client = await open()
  client.socket.write(get('/', 'Connection: close'))
  await client.closed
  t.match(client.text, /^HTTP\/1\.1 204 No Content\r\nDate: [^\r]+\r\nConnection: close\r\n\r\n$/)
})

t.test('nothing that would split an answer is written', async (t) => {
  const { open } = await start(t, (_request, response) => {
    t.throws(() => response.writeHead(200, ['a', 'b\r\nc: d']), TypeError)
    response.destroy()
  })
  const client = await open()
  client.socket.write(get('/'))
  await client.closed
  t.equal(client.text, '')
})

t.test('a client that leaves is noticed', async (t) => {
  let left: (() => void) | undefined
  const hasLeft = new Promise<void>((resolve) => (left = resolve))
  const { open } = await start(t, (_request, response) => {
    response.listener = { gone: () => left?.() }
    client.socket.resetAndDestroy()
  })
  const client = await open()
  client.socket.write(get('/'))
  await hasLeft
})

t.test('a client that does not read is waited for, and then has all of it', async (t) => {
  const size = 16 * 1024 * 1024
  let isTaken = true
  let drained: (() => void) | undefined
  const hasDrained = new Promise<void>((resolve) => (drained = resolve))
  const { open } = await start(t, (_request, response) => {
    response.listener = { drained: () => drained?.() }
    response.writeHead(200, ['content-length', String(size)])
    isTaken = response.write(Buffer.alloc(size))
    response.end()
  })
  const client = await open()
  client.socket.pause()
  client.socket.write(get('/', 'Connection: close'))
  while (isTaken) await new Promise((resolve) => setImmediate(resolve))
  client.socket.resume()
  await hasDrained
  await client.closed
  t.equal(client.text.length, client.text.indexOf('\r\n\r\n') + 4 + size)
})

t.test(
  'a connection that sends nothing is given up, and one that sends nothing more',
  async (t) => {
    const silent = await start(t, echo, { timeoutHead: 40 })
    const client = await silent.open()
    await client.closed
    t.equal(silent.timedOut.length, 1)

    const idle = await start(t, echo, { timeoutKeepAlive: 40 })
    const another = await idle.open()
    another.socket.write(get('/one'))
    await another.closed
    t.match(another.text, /\/one$/)
    t.equal(idle.timedOut.length, 0)
  },
)

t.test('a closing server lets answers end and keeps no connection', async (t) => {
  let answer: (() => void) | undefined
  const { plain, open } = await start(t, (request, response) => {
    answer = () => echo(request, response)
  })
  const idle = await open()
  const asking = await open()
  asking.socket.write(get('/one'))
  while (answer === undefined) await new Promise((resolve) => setImmediate(resolve))
  plain.close()
  await idle.closed
  answer()
  await asking.closed
  t.match(asking.text, /\/one$/)
})

t.test('a second head, and a body without one, are refused', async (t) => {
  const errors: unknown[] = []
  const attempt = (write: () => unknown): void => {
    try {
      write()
    } catch (cause) {
      errors.push(cause)
    }
  }
  const { open } = await start(t, (_request, response) => {
    attempt(() => response.write(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')))
    attempt(() => response.end('x'))
    response.writeHead(200, ['Content-Length', '3'])
    attempt(() => response.writeHead(200, ['Content-Length', '3']))
    response.end('one')
    attempt(() => response.writeHead(200, ['Content-Length', '3']))
    response.write(Buffer.from('two'))
    response.end('two')
  })
  const client = await open()
  client.socket.write(get('/a'))
  await client.until('\r\n\r\none')
  client.socket.write(get('/b'))
  const text = await client.until('one\r\n\r\none'.slice(0, 3))
  t.equal(errors.length >= 4, true)
  t.notMatch(text, 'two')
})

/** What somebody may write who does not keep to the length that the head says. */
const wrongLengths: Readonly<Record<string, (response: GetResponse) => void>> = {
  'too long in one piece': (response) => response.end('abcd'),
  'too long in pieces': (response) => {
    response.write(Buffer.from('ab'))
    response.write(Buffer.from('cd'))
    response.end()
  },
  'too short': (response) => response.end('ab'),
  empty: (response) => response.end(),
}

for (const [what, write] of Object.entries(wrongLengths)) {
  t.test(`an answer that is ${what} ends the connection`, async (t) => {
    const { open } = await start(t, (_request, response) => {
      response.writeHead(200, ['Content-Length', '3'])
      write(response)
    })
    const client = await open()
    client.socket.write(get('/'))
    await client.closed
    const [, body = ''] = client.text.split('\r\n\r\n')
    t.notMatch(body, 'd', 'nothing beyond the length')
    t.not(body.length, 3, 'it cannot pass for a whole one')
  })
}

t.test(
  'who goes on writing to a client that does not read listens once for its reading',
  async (t) => {
    const part = Buffer.alloc(1024 * 1024, 'x')
    const { open } = await start(t, (_request, response) => {
      response.writeHead(200, ['Content-Length', String(20 * part.length)])
      for (let index = 0; index < 20; index += 1) response.write(part)
      t.equal(response.socket.listenerCount('drain'), 1)
      response.end()
    })
    const client = await open()
    client.socket.pause()
    client.socket.write(get('/'))
    await once(client.socket, 'readable')
    client.socket.resume()
    while (client.text.length < 20 * part.length) await once(client.socket, 'data')
  },
)
