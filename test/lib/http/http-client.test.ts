import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import {
  ExchangeTimeout,
  HttpClient,
  httpOrigin,
  type ExchangeListener,
  type HttpClientOptions,
} from '../../../lib/http/http-client.ts'
import { answeringServer, chunkedAnswer, okAnswer } from '../../support/answering-server.ts'

function clientOf(t: Test, options: Partial<HttpClientOptions> = {}): HttpClient {
  const client = new HttpClient({
    keepsConnections: true,
    connections: 2,
    timeoutConnect: 5_000,
    timeoutHeaders: 10_000,
    timeoutBody: 10_000,
    tls: { rejectUnauthorized: true },
    defect: (cause) => t.fail(String(cause)),
    ...options,
  })
  t.teardown(() => client.close())
  return client
}

interface Heard {
  readonly phases: string
  readonly status: number
  readonly body: string
  readonly failure: Error | undefined
}

/** Sends a request and collects what its listener is called with. */
function ask(
  client: HttpClient,
  url: string,
  { method = 'GET', body }: { method?: string; body?: Uint8Array } = {},
  overrides: Partial<ExchangeListener> = {},
): Promise<Heard> {
  return new Promise((resolve) => {
    let phases = ''
    let status = 0
    let text = ''
    const settle = (failure?: Error): void => resolve({ phases, status, body: text, failure })
    const { pathname: path } = new URL(url)
    const request = { origin: httpOrigin(url), method, path, headers: ['x-a', 'b'], body }
    client.send(request, {
      sent: () => void (phases += 's'),
      headCame: (given) => {
        phases += 'h'
        status = given
      },
      dataCame: (chunk) => {
        text += chunk.toString('latin1')
        return true
      },
      ended: () => settle(),
      failed: settle,
      ...overrides,
    })
  })
}

t.test('answers come over one connection, whole and in order', async (t) => {
  const { url, heads, sockets } = await answeringServer(t, (head) =>
    okAnswer(head.split(' ')[1] ?? ''),
  )
  const client = clientOf(t)
  for (const path of ['/1', '/2', '/3'])
    t.match(await ask(client, url + path), { phases: 'sh', status: 200, body: path })
  t.equal(sockets.length, 1)
  t.match(heads[0], `GET /1 HTTP/1.1\r\nHost: ${url.slice(7)}\r\nx-a: b\r\n`)
})

for (const [what, answer] of [
  ['in chunks', chunkedAnswer],
  ['after an interim one', `HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n${okAnswer('ab')}`],
] as const) {
  t.test(`an answer ${what} is read`, async (t) => {
    const { url } = await answeringServer(t, () => answer)
    t.match(await ask(clientOf(t), `${url}/`), { phases: 'sh', status: 200, body: 'ab' })
  })
}

t.test('a client that keeps no connection opens one for each request', async (t) => {
  const { url, heads, sockets } = await answeringServer(t, () => okAnswer('a'))
  const client = clientOf(t, { keepsConnections: false })
  for (let round = 0; round < 2; round += 1) await ask(client, `${url}/`)
  t.equal(sockets.length, 2)
  t.match(heads[0], /\r\nConnection: close\r\n/)
})

t.test('a body is sent with its length', async (t) => {
  const { url, heads } = await answeringServer(t, (head) =>
    head.endsWith('hello') ? okAnswer('a') : undefined,
  )
  const body = Buffer.from('hello')
  t.match(await ask(clientOf(t), `${url}/`, { method: 'POST', body }), { status: 200 })
  t.match(
    heads.join(''),
    /^POST \/ HTTP\/1\.1\r\n(?:.*\r\n)*Content-Length: 5\r\n(?:.*\r\n)*\r\nhello$/,
  )
})

t.test('requests beyond the connections wait', async (t) => {
  const { url, sockets } = await answeringServer(t, (head) => okAnswer(head.split(' ')[1] ?? ''))
  const client = clientOf(t)
  const paths = Array.from({ length: 20 }, (_, index) => `/${index}`)
  const answers = await Promise.all(paths.map((path) => ask(client, url + path)))
  t.strictSame(
    answers.map(({ body }) => body),
    paths,
  )
  t.equal(sockets.length, 2)
})

t.test('a connection that ends without an answer, or within one, is a failure', async (t) => {
  const { url } = await answeringServer(t, (head, socket) => {
    const cut = head.startsWith('GET /cut') ? okAnswer('abcde').slice(0, -2) : ''
    socket.end(cut)
    return undefined
  })
  const client = clientOf(t)
  t.match(await ask(client, `${url}/none`), { phases: 's', failure: { code: 'ECONNRESET' } })
  t.match(await ask(client, `${url}/cut`), { body: 'abc', failure: { code: 'ECONNRESET' } })
})

t.test('a head that does not come and a body that stops are given up', async (t) => {
  const { url } = await answeringServer(t, (head) =>
    head.startsWith('GET /stops') ? okAnswer('abcde').slice(0, -2) : undefined,
  )
  const client = clientOf(t, { timeoutHeaders: 300, timeoutBody: 300 })
  const mute = await ask(client, `${url}/mute`)
  t.ok(mute.failure instanceof ExchangeTimeout)
  t.equal(mute.phases, 's')
  const stopping = await ask(client, `${url}/stops`)
  t.ok(stopping.failure instanceof ExchangeTimeout)
  t.equal(stopping.body, 'abc')
})

t.test('a server that is not there is a failure before anything was sent', async (t) => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  const client = clientOf(t)
  const answers = await Promise.all([1, 2, 3].map(() => ask(client, `http://127.0.0.1:${port}/`)))
  for (const answer of answers) t.match(answer, { phases: '', failure: { code: 'ECONNREFUSED' } })
})

t.test('a handshake that does not end is given up before anything was sent', async (t) => {
  const { url } = await answeringServer(t, () => undefined)
  const client = clientOf(t, { timeoutConnect: 50 })
  const { phases, failure } = await ask(client, `${url.replace('http:', 'https:')}/`)
  t.equal(phases, '')
  t.ok(failure instanceof ExchangeTimeout)
})

t.test('bytes on an idle connection are no answer to the next request', async (t) => {
  const { url, sockets } = await answeringServer(t, () => okAnswer('right'))
  const client = clientOf(t)
  await ask(client, `${url}/`)
  const [first] = sockets
  const closed = once(first!, 'close')
  first!.write(okAnswer('wrong'))
  await closed
  t.match(await ask(client, `${url}/`), { body: 'right' })
  t.equal(sockets.length, 2)
})

t.test('an exchange that is aborted closes that connection and no other', async (t) => {
  const { url, sockets } = await answeringServer(t, (head) =>
    head.includes('/slow') ? undefined : okAnswer('a'),
  )
  const client = clientOf(t)
  const origin = httpOrigin(url)
  const slow = new Promise<Error>((resolve) => {
    const exchange = client.send(
      { origin, method: 'GET', path: '/slow', headers: [] },
      {
        // Not from within the call of this listener: nobody aborts before `send` has returned.
        sent: () => setImmediate(() => exchange.abort(new Error('left'))),
        headCame: () => undefined,
        dataCame: () => true,
        ended: () => undefined,
        failed: resolve,
      },
    )
  })
  t.match(await ask(client, `${url}/`), { body: 'a' })
  t.equal((await slow).message, 'left')
  if (sockets[0]?.destroyed !== true) await once(sockets[0]!, 'close')
  t.match(await ask(client, `${url}/`), { body: 'a' })
  t.equal(sockets.length, 2)
})

t.test('a closed client fails what runs and what waits', async (t) => {
  const { url, heads } = await answeringServer(t, () => undefined)
  const client = clientOf(t)
  const held = [1, 2, 3, 4].map(() => ask(client, `${url}/`))
  while (heads.length < 2) await new Promise((resolve) => setImmediate(resolve))
  client.close()
  for (const { failure } of await Promise.all(held)) t.match(failure?.message, 'closed')
})

t.test('what a listener throws over its end is a defect, and ends nothing else', async (t) => {
  const { url } = await answeringServer(t, (head) => okAnswer(head.split(' ')[1] ?? ''))
  const defects: unknown[] = []
  const client = clientOf(t, { defect: (cause) => void defects.push(cause) })
  const trapped = new Promise<Error>((resolve) => {
    void ask(
      client,
      `${url}/`,
      {},
      {
        ended: () => {
          throw new Error('trapped')
        },
        failed: (cause) => {
          resolve(cause)
          throw new Error('trapped again')
        },
      },
    )
  })
  t.match(await ask(client, `${url}/1`), { body: '/1' })
  t.match(await trapped, { message: 'trapped' })
  t.equal(defects.length, 2)
})

t.test('what a listener throws over a head or a body fails its exchange', async (t) => {
  const { url } = await answeringServer(t, () => okAnswer('abc'))
  const trap = (): never => {
    throw new Error('trapped')
  }
  for (const method of ['headCame', 'dataCame'] as const) {
    const { failure } = await ask(clientOf(t), `${url}/`, {}, { [method]: trap })
    t.match(failure, { message: 'trapped' }, method)
  }
})

t.test('an origin has the brackets of an IPv6 address in Host alone', async (t) => {
  t.match(httpOrigin('http://[::1]:8775'), { hostname: '::1', host: '[::1]:8775', port: '8775' })
})
