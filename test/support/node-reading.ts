/** What does Node's own parser make of bytes? */
import {
  createServer,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http'
import { Duplex } from 'node:stream'

/** One end of a connection: what is pushed was sent by the other side. */
class Wire extends Duplex {
  override _read(): void {
    // Pushed by the test.
  }
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done()
  }
}

/** A request as Node gives it to a server. */
export interface ReadRequest {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly rawHeaders: readonly string[]
  readonly isLast: boolean
}

/** What Node's server reads of the bytes of one connection: requests, and the codes of what it refuses. */
export async function readByServer(text: string): Promise<readonly (ReadRequest | string)[]> {
  const read: (ReadRequest | string)[] = []
  const server = createServer((request, response) => {
    read.push({
      method: request.method,
      url: request.url,
      rawHeaders: request.rawHeaders,
      isLast: !response.shouldKeepAlive,
    })
    response.end()
  })
  server.on('clientError', (error: NodeJS.ErrnoException) => read.push(error.code ?? 'error'))
  const wire = new Wire()
  server.emit('connection', wire)
  wire.push(Buffer.from(text, 'latin1'))
  await settled()
  wire.destroy()
  server.close()
  return read
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** An answer as Node gives it to a client. */
export interface ReadAnswer {
  readonly status: number | undefined
  readonly rawHeaders: readonly string[]
  readonly body: string
}

/** What Node's client reads of the bytes, after which the connection ends, as an answer to a GET; the code of what it refuses. */
export async function readByClient(text: string): Promise<ReadAnswer | string> {
  const wire = new Wire()
  let read: ReadAnswer | string = 'nothing'
  const request: ClientRequest = httpRequest({ createConnection: () => wire })
  request.on('error', (error: NodeJS.ErrnoException) => (read = error.code ?? error.message))
  request.on('response', (answer: IncomingMessage) => {
    let body = ''
    answer.setEncoding('latin1')
    answer.on('data', (chunk: string) => (body += chunk))
    answer.on('end', () => {
      read = { status: answer.statusCode, rawHeaders: answer.rawHeaders, body }
    })
    answer.on('error', () => (read = 'cut'))
  })
  request.end()
  await settled()
  wire.push(Buffer.from(text, 'latin1'))
  await settled()
  wire.push(null)
  await settled()
  wire.destroy()
  return read
}
