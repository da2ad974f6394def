// An answer that ends with its connection was paused, because its guest did not read, when the connection ended: an assertion in the HTTP
// client ended the agent, or the worker. Right: the answer is delivered, and nobody else notices.
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { HttpClient, httpOrigin } from '../../lib/http/http-client.ts'
import { OriginPool } from '../../lib/fast-http/origin-pool.ts'
import { WireUpstream } from '../support/wire-upstream.ts'

async function turns(count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) await turn()
}

for (const size of [2_500, 200_000]) {
  t.test(`${size} bytes that end with the connection, to somebody who pauses`, async (t) => {
    const upstream = await WireUpstream.start()
    t.teardown(() => upstream.close())
    upstream.answer = ({ socket }) => {
      socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${'x'.repeat(size)}`)
    }
    const pool = new OriginPool({
      url: upstream.url,
      connections: 1,
      timeoutHeaders: 10_000,
      timeoutBody: 10_000,
      connect: {},
      defect: (cause) => t.fail(String(cause)),
    })
    t.teardown(() => pool.destroy())
    // The first is handed over from one client to the other, the second is the other's from the start.
    for (const way of ['handed over', 'from the start']) {
      const got = await new Promise<number | Error>((resolve) => {
        let bytes = 0
        let resume = (): void => undefined
        pool.dispatch(
          { method: 'GET', path: '/', headers: [], body: null },
          {
            onConnect: () => undefined,
            onHeaders(_status, _fields, goOn) {
              resume = goOn
              return true
            },
            onData(chunk) {
              bytes += chunk.length
              // Only the last is never resumed: the end of the connection must come during the pause.
              if (bytes < size) setImmediate(() => resume())
              return false
            },
            onComplete: () => resolve(bytes),
            onError: resolve,
          },
        )
      })
      t.equal(got, size, way)
    }
  })
}

for (const size of [2_500, 200_000]) {
  t.test(`${size} bytes that end with the connection, to a guest of the agent`, async (t) => {
    const upstream = await WireUpstream.start()
    t.teardown(() => upstream.close())
    upstream.answer = ({ socket }) => {
      socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${'x'.repeat(size)}`)
    }
    const client = new HttpClient({
      keepsConnections: true,
      connections: 1,
      timeoutConnect: 10_000,
      timeoutHeaders: 10_000,
      timeoutBody: 10_000,
      tls: { rejectUnauthorized: true },
    })
    t.teardown(() => client.close())
    const got = await new Promise<number | Error>((resolve) => {
      let bytes = 0
      const request = { origin: httpOrigin(upstream.url), method: 'GET', path: '/', headers: [] }
      const exchange = client.send(request, {
        sent: () => undefined,
        headCame: () => undefined,
        dataCame(chunk) {
          bytes += chunk.length
          // Of the last part so late that the end of the connection comes during the pause.
          void turns(bytes < size ? 1 : 50).then(() => exchange.resume())
          return false
        },
        ended: () => resolve(bytes),
        failed: resolve,
      })
    })
    t.equal(got, size)
  })
}

t.test('a connection that is refused is an error for the request alone', async (t) => {
  const upstream = await WireUpstream.start()
  const { url } = upstream
  await upstream.close()
  const limits = { connections: 1, timeoutHeaders: 10_000, timeoutBody: 10_000 }
  const pool = new OriginPool({
    url,
    ...limits,
    connect: {},
    defect: (cause) => t.fail(String(cause)),
  })
  t.teardown(() => pool.destroy())
  for (const method of ['GET', 'POST']) {
    const failure = await new Promise((resolve) => {
      pool.dispatch(
        { method, path: '/', headers: [], body: null },
        {
          onConnect: () => undefined,
          onHeaders: () => true,
          onData: () => true,
          onComplete: () => resolve(undefined),
          onError: resolve,
        },
      )
    })
    t.match(failure, { code: 'ECONNREFUSED' })
  }
})
