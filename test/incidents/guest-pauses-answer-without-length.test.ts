// An answer that ends with its connection was paused, because its guest did not read, when the connection ended: an assertion in the HTTP
// client ended the agent, or the worker. Right: the answer is delivered, and nobody else notices.
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { originConnector } from '../../lib/fast-http/origin-connector.ts'
import { RequestPool } from '../../lib/fast-http/request-pool.ts'
import { HttpClient, httpOrigin } from '../../lib/http/http-client.ts'
import { WireUpstream } from '../support/wire-upstream.ts'

/** What whoever gets an answer does over each part of it: it asks for a pause. */
type Paused = (part: Buffer, resume: () => void) => false

/** Sends a request, and comes back when it is over. */
type Ask = (url: string, paused: Paused) => Promise<Error | undefined>

const limits = { timeoutHeaders: 10_000, timeoutBody: 10_000 }

const clients: Readonly<Record<string, Ask>> = {
  'the agent': (url, paused) =>
    new Promise((resolve) => {
      const client = new HttpClient({
        ...limits,
        keepsConnections: true,
        connections: 1,
        timeoutConnect: 10_000,
        tls: { rejectUnauthorized: true },
      })
      const request = { origin: httpOrigin(url), method: 'GET', path: '/', headers: [] }
      const exchange = client.send(request, {
        sent: () => undefined,
        headCame: () => undefined,
        dataCame: (part) => paused(part, () => exchange.resume()),
        ended: () => resolve(undefined),
        failed: resolve,
      })
    }),
  'a worker': (url, paused) =>
    new Promise((resolve) => {
      const pool = new RequestPool({
        ...limits,
        host: new URL(url).host,
        connect: originConnector(url, { timeout: 10_000, rejectUnauthorized: true }),
        defect: resolve as (cause: unknown) => void,
      })
      let resume = (): void => undefined
      pool.dispatch(
        { method: 'GET', path: '/', headers: [] },
        {
          onConnect: () => undefined,
          onHeaders(_status, _fields, goOn) {
            resume = goOn
            return true
          },
          onData: (part) => paused(part, resume),
          onComplete: () => resolve(undefined),
          onError: resolve,
        },
      )
    }),
}

async function turns(count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) await turn()
}

for (const [whose, ask] of Object.entries(clients)) {
  for (const size of [2_500, 200_000]) {
    t.test(`${size} bytes that end with the connection, to a slow guest of ${whose}`, async (t) => {
      const upstream = await WireUpstream.start()
      t.teardown(() => upstream.close())
      upstream.answer = ({ socket }) => {
        socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${'x'.repeat(size)}`)
      }
      let bytes = 0
      const failure = await ask(upstream.url, (part, resume) => {
        bytes += part.length
        // Of the last part so late that the end of the connection comes during the pause.
        void turns(bytes < size ? 1 : 50).then(resume)
        return false
      })
      t.equal(failure, undefined)
      t.equal(bytes, size)
    })
  }

  t.test(
    `a connection that is refused is an error for the request of ${whose} alone`,
    async (t) => {
      const upstream = await WireUpstream.start()
      const { url } = upstream
      await upstream.close()
      t.match(await ask(url, () => false), { code: 'ECONNREFUSED' })
    },
  )
}
