import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'
import type { AnswerHandler } from '../../lib/fast-http/answer-handler.ts'
import { originConnector } from '../../lib/fast-http/origin-connector.ts'
import { RequestPool, type PoolRequest } from '../../lib/fast-http/request-pool.ts'

/** Starts a server that writes what it is told for each head it gets, and counts. */
export async function answeringServer(
  t: Test,
  answer: (head: string, socket: Socket) => string | undefined,
): Promise<{ readonly url: string; readonly heads: string[]; readonly sockets: Socket[] }> {
  const heads: string[] = []
  const sockets: Socket[] = []
  const listening = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.setEncoding('latin1')
    socket.on('data', (head: string) => {
      heads.push(head)
      const text = answer(head, socket)
      if (text !== undefined) socket.write(text, 'latin1')
    })
  })
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  t.teardown(() => {
    listening.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = listening.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, heads, sockets }
}

/** A pool for the time of a test. */
export function poolOf(
  t: Test,
  url: string,
  limits: { headers?: number; body?: number } = {},
  defect: (cause: unknown) => void = (cause) => t.fail(String(cause)),
): RequestPool {
  const made = new RequestPool({
    host: new URL(url).host,
    connect: originConnector(url, { timeout: 5_000, rejectUnauthorized: true }),
    timeoutHeaders: limits.headers ?? 10_000,
    timeoutBody: limits.body ?? 10_000,
    defect,
  })
  t.teardown(() => made.destroy())
  return made
}

/** What came of a request. */
export interface Heard {
  status: number
  fields: string[]
  body: string
  error: string | undefined
}

/** Asks and hears all of the answer. */
export function askPool(
  from: RequestPool,
  path = '/',
  rest: Partial<PoolRequest> = {},
): Promise<Heard> {
  return new Promise((resolve) => {
    const heard: Heard = { status: 0, fields: [], body: '', error: undefined }
    const handler: AnswerHandler = {
      onConnect: () => undefined,
      onHeaders: (status, fields) => {
        heard.status = status
        heard.fields = [...fields]
        return true
      },
      onData: (chunk) => {
        heard.body += chunk.toString('latin1')
        return true
      },
      onComplete: () => resolve(heard),
      onError: (cause: NodeJS.ErrnoException) => {
        heard.error = cause.code ?? cause.name
        resolve(heard)
      },
    }
    from.dispatch({ path, method: 'GET', headers: ['x-a', 'b'], ...rest }, handler)
  })
}

/** An answer of known length. */
export function okAnswer(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

/** An answer of `ab`. */
export const chunkedAnswer =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n'
