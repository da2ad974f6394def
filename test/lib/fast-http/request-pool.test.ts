import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import type { AnswerHandler } from '../../../lib/fast-http/answer-handler.ts'
import {
  answeringServer,
  askPool,
  chunkedAnswer,
  okAnswer,
  poolOf,
} from '../../support/answering-server.ts'

t.test('answers come over one connection, whole and in order', async (t) => {
  const { url, heads, sockets } = await answeringServer(t, (head) =>
    okAnswer(head.split(' ')[1] ?? ''),
  )
  const asked = poolOf(t, url)

  for (const path of ['/1', '/2', '/3'])
    t.match(await askPool(asked, path), { status: 200, body: path })

  t.equal(sockets.length, 1)
  t.equal(
    heads[0],
    `GET /1 HTTP/1.1\r\nHost: ${url.slice(7)}\r\nx-a: b\r\nConnection: keep-alive\r\n\r\n`,
  )
})

t.test('requests at the same time have a connection each, which is kept', async (t) => {
  const { url, sockets } = await answeringServer(t, (head) => okAnswer(head.split(' ')[1] ?? ''))
  const asked = poolOf(t, url)
  for (let round = 0; round < 2; round += 1) {
    const answers = await Promise.all(['/1', '/2', '/3'].map((path) => askPool(asked, path)))
    t.strictSame(
      answers.map(({ body }) => body),
      ['/1', '/2', '/3'],
    )
  }
  t.equal(sockets.length, 3)
})

for (const [what, answer, isKept] of [
  ['in chunks', chunkedAnswer, true],
  ['after an interim one', `HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n${okAnswer('ab')}`, true],
  ['of HTTP/1.0', okAnswer('ab').replace('1.1', '1.0'), false],
] as const) {
  t.test(`an answer ${what} is read`, async (t) => {
    const { url, sockets } = await answeringServer(t, () => answer)
    const asked = poolOf(t, url)
    for (let round = 0; round < 2; round += 1) {
      t.match(await askPool(asked), { status: 200, body: 'ab', error: undefined })
    }
    t.equal(sockets.length, isKept ? 1 : 2)
  })
}

t.test('an answer that ends with its connection is whole', async (t) => {
  const { url } = await answeringServer(t, (_head, socket) => {
    socket.end('HTTP/1.1 200 OK\r\n\r\nab')
    return undefined
  })
  t.match(await askPool(poolOf(t, url)), { status: 200, body: 'ab', error: undefined })
})

t.test('an answer in pieces is read', async (t) => {
  const { url } = await answeringServer(t, (_head, socket) => {
    const [...pieces] = okAnswer('abc')
    const next = (): void => {
      const piece = pieces.shift()
      if (piece === undefined) return
      socket.write(piece)
      setImmediate(next)
    }
    next()
    return undefined
  })
  t.match(await askPool(poolOf(t, url)), { status: 200, body: 'abc', error: undefined })
})

t.test('what is not HTTP is an error and sent for once', async (t) => {
  const { url, heads } = await answeringServer(t, () => 'hello\r\n\r\n')
  t.equal((await askPool(poolOf(t, url))).error, 'MalformedAnswer')
  t.equal(heads.length, 1)
})

t.test(
  'a request that is not a GET has a connection of its own, and its body goes out',
  async (t) => {
    const { url, heads, sockets } = await answeringServer(t, (head) =>
      head.startsWith('PUT') && !head.endsWith('hello') ? undefined : okAnswer(''),
    )
    const asked = poolOf(t, url)
    await askPool(asked)
    await askPool(asked, '/', { method: 'PUT', body: Buffer.from('hello') })
    await askPool(asked, '/', { method: 'POST' })
    await askPool(asked, '/', { method: 'HEAD' })
    await askPool(asked)
    const texts = heads.join('')
    t.match(texts, 'PUT / HTTP/1.1\r\nHost: ')
    t.match(texts, 'x-a: b\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello')
    t.match(texts, /POST .*\r\n.*\r\n.*\r\nContent-Length: 0\r\n/)
    t.equal(sockets.length, 4)
  },
)

t.test('a request that cannot be written as it is, is not', async (t) => {
  const { url, heads } = await answeringServer(t, () => okAnswer(''))
  const asked = poolOf(t, url)
  for (const path of ['/a b', '/a\r\n', 'a', '/\u0100']) {
    t.equal((await askPool(asked, path)).error, 'TypeError', path)
  }
  t.equal((await askPool(asked, '/', { headers: ['a', 'b\r\nc: d'] })).error, 'TypeError')
  t.equal((await askPool(asked, '/', { method: 'GET /x' })).error, 'TypeError')
  t.equal(heads.length, 0)
})

t.test('a closed pool fails what runs, what connects and what comes', async (t) => {
  const { url, heads } = await answeringServer(t, () => undefined)
  const asked = poolOf(t, url)
  const running = askPool(asked)
  while (heads.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const connecting = askPool(asked)
  asked.destroy()
  for (const one of [running, connecting, askPool(asked)]) t.equal((await one).error, 'ECONNRESET')
})

t.test('a connection that ends in the middle is an error', async (t) => {
  const { url } = await answeringServer(t, (_head, socket) => {
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc')
    return undefined
  })
  t.match(await askPool(poolOf(t, url)), { status: 200, body: 'abc', error: 'ECONNRESET' })
})

t.test('a body longer than announced spoils the connection', async (t) => {
  const { url, sockets } = await answeringServer(t, () => `${okAnswer('ab')}HTTP/1.1 200 OK\r\n`)
  const asked = poolOf(t, url)
  t.match(await askPool(asked), { status: 200, body: 'ab' })
  t.match(await askPool(asked), { status: 200, body: 'ab' })
  t.equal(sockets.length, 2)
})

t.test('bytes on an idle connection are no answer to the next request', async (t) => {
  const { url, sockets } = await answeringServer(t, () => okAnswer('right'))
  const asked = poolOf(t, url)
  await askPool(asked)
  const [first] = sockets
  const closed = once(first!, 'close')
  first!.write(okAnswer('wrong'))
  await closed
  t.match(await askPool(asked), { status: 200, body: 'right' })
  t.equal(sockets.length, 2)
})

t.test('a connection that the server ends is not used again', async (t) => {
  const { url, sockets } = await answeringServer(t, () =>
    okAnswer('a').replace('OK', 'OK\r\nConnection: close'),
  )
  const asked = poolOf(t, url)
  await askPool(asked)
  await askPool(asked)
  t.equal(sockets.length, 2)
})

t.test('a head that does not come and a body that stops are given up', async (t) => {
  const mute = await answeringServer(t, () => undefined)
  t.match(await askPool(poolOf(t, mute.url, { headers: 50 })), { error: 'AnswerTimeout' })
  const stopping = await answeringServer(t, () => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab')
  t.match(await askPool(poolOf(t, stopping.url, { body: 50 })), {
    status: 200,
    body: 'ab',
    error: 'AnswerTimeout',
  })
})

t.test('a server that is not there is an error for each caller', async (t) => {
  const { url } = await answeringServer(t, () => undefined)
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  const asked = poolOf(t, url.replace(/\d+$/, String(port)))
  const answers = await Promise.all([askPool(asked), askPool(asked), askPool(asked)])
  t.strictSame(
    answers.map(({ error }) => error),
    ['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED'],
  )
})

t.test('who gives up closes that connection and no other', async (t) => {
  const { url, sockets } = await answeringServer(t, (head) =>
    head.includes('/slow') ? undefined : okAnswer('a'),
  )
  const asked = poolOf(t, url)
  let abort: (() => void) | undefined
  const gaveUp = new Promise<NodeJS.ErrnoException>((resolve) => {
    asked.dispatch(
      { path: '/slow', method: 'GET', headers: [] },
      {
        onConnect: (given) => (abort = () => given(new Error('left'))),
        onHeaders: () => true,
        onData: () => true,
        onComplete: () => undefined,
        onError: resolve,
      },
    )
  })
  t.match(await askPool(asked), { body: 'a' })
  const closed = once(sockets[0]!, 'close')
  abort?.()
  t.equal((await gaveUp).message, 'left')
  await closed
  abort?.()
  t.match(await askPool(asked), { body: 'a' })
  t.equal(sockets.length, 2)
})

t.test('who cannot take more is not given more', async (t) => {
  const size = 8 * 1024 * 1024
  const { url, sockets } = await answeringServer(t, (_head, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
    socket.write(Buffer.alloc(size))
    return undefined
  })
  const asked = poolOf(t, url)
  let resume: (() => void) | undefined
  let bytes = 0
  let isFull: (() => void) | undefined
  const full = new Promise<void>((resolve) => (isFull = resolve))
  const whole = new Promise<void>((resolve, reject) => {
    asked.dispatch(
      { path: '/', method: 'GET', headers: [] },
      {
        onConnect: () => undefined,
        onHeaders: (_status, _fields, given) => {
          resume = given
          return true
        },
        onData: (chunk) => {
          bytes += chunk.length
          isFull?.()
          return bytes > size / 2
        },
        onComplete: resolve,
        onError: reject,
      },
    )
  })
  await full
  const soFar = bytes
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  t.equal(bytes, soFar)
  t.ok(sockets[0]!.writableLength > 0)
  const timer = setInterval(() => resume?.(), 1)
  await whole
  clearInterval(timer)
  t.equal(bytes, size)
})

/** A handler of a GET, one method of which throws, and what it has been told of the end. */
function throwingHandler(
  method: 'onComplete' | 'onError' | 'both',
  told: (what: string) => void,
): AnswerHandler {
  const tell = (what: 'onComplete' | 'onError'): void => {
    told(what)
    if (method === what || method === 'both') throw new Error(`${what} is trapped`)
  }
  return {
    onConnect: () => undefined,
    onHeaders: () => true,
    onData: () => true,
    onComplete: () => tell('onComplete'),
    onError: () => tell('onError'),
  }
}

for (const method of ['onComplete', 'both'] as const) {
  t.test(
    `a handler that cannot take its answer (${method}) fails, and no other does`,
    async (t) => {
      const { url } = await answeringServer(t, (head) => okAnswer(head.split(' ')[1] ?? ''))
      const defects: unknown[] = []
      const asked = poolOf(t, url, {}, (cause) => void defects.push(cause))
      const told: string[] = []
      const trapped = throwingHandler(method, (what) => void told.push(what))

      asked.dispatch({ path: '/', method: 'GET', headers: [] }, trapped)
      const others = await Promise.all(['/1', '/2', '/3'].map((path) => askPool(asked, path)))

      t.strictSame(told, ['onComplete', 'onError'])
      t.equal(defects.length, method === 'both' ? 2 : 1)
      t.strictSame(
        others.map(({ body }) => body),
        ['/1', '/2', '/3'],
      )
    },
  )
}

t.test('a handler that throws when its time is over ends its connection alone', async (t) => {
  const { url, sockets } = await answeringServer(t, (head) =>
    head.startsWith('GET /never') ? undefined : okAnswer('ab'),
  )
  const defects: unknown[] = []
  const asked = poolOf(t, url, { headers: 300 }, (cause) => void defects.push(cause))
  const never = { path: '/never', method: 'GET', headers: [] } as const
  const told: string[] = []
  const failed = new Promise<void>((resolve) => {
    const trapped = throwingHandler('onError', (what) => {
      told.push(what)
      if (told.length === 2) resolve()
    })
    // Two, so that one sweep meets both.
    for (let count = 0; count < 2; count += 1) asked.dispatch(never, trapped)
  })
  await failed

  t.match(await askPool(asked), { status: 200, body: 'ab' })
  t.strictSame(told, ['onError', 'onError'])
  t.equal(defects.length, 2)
  t.equal(sockets.length, 3)
})

t.test('a handler that throws when its connection or the pool ends', async (t) => {
  const { url } = await answeringServer(t, (head, socket) => {
    if (head.startsWith('GET /end')) socket.end()
    return undefined
  })
  const defects: unknown[] = []
  const asked = poolOf(t, url, {}, (cause) => void defects.push(cause))
  const ask = (path: string): Promise<void> =>
    new Promise((resolve) => {
      const trapped = throwingHandler('onError', () => resolve())
      asked.dispatch({ path, method: 'GET', headers: [] }, trapped)
    })
  await ask('/end')
  t.equal(defects.length, 1)
  // Two are sent, the others wait for a connection.
  const held = ['/1', '/2', '/3', '/4'].map(ask)
  asked.destroy()
  await Promise.all(held)
  t.equal(defects.length, 5)
})
