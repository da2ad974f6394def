import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Secret } from '../../lib/runtime/secret.ts'
import { verifyInstanceId } from '../../lib/wire/signature.ts'

/** One request as compute received it. */
export interface UpstreamRequest {
  readonly method: string
  readonly target: string
  /** Names as spelled and values, in order. */
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

/** Answers a recorded request. */
export type AnswerUpstream = (
  request: UpstreamRequest,
  response: ServerResponse,
) => void | Promise<void>

/** Answers with the instance id as Nova would decide it: 403 for a wrong signature, 404 for an instance it does not have. */
export function novaLike(secret: string, has: (instanceId: string) => boolean = () => true) {
  return (request: UpstreamRequest, response: ServerResponse): void => {
    const instanceId = String(request.headers['x-instance-id'])
    const signature = String(request.headers['x-instance-id-signature'])
    if (!verifyInstanceId(new Secret(secret), instanceId, signature)) {
      response
        .writeHead(403, { 'content-type': 'text/html' })
        .end('Invalid proxy request signature.')
    } else if (!has(instanceId)) {
      response.writeHead(404, { 'content-type': 'text/html' }).end('No such instance.')
    } else {
      response.writeHead(200, { 'content-type': 'text/plain' }).end(instanceId)
    }
  }
}

/** A compute metadata API that keeps what it gets and answers as it is told. */
export class RecordingUpstream {
  readonly requests: UpstreamRequest[] = []
  connections = 0
  answer: AnswerUpstream = (_request, response) => void response.end('ok')
  url = ''
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #tcpPort = 0

  private constructor() {
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      void this.#serve(request, response)
    })
    this.#server.on('connection', (socket) => {
      this.connections += 1
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(answer?: AnswerUpstream): Promise<RecordingUpstream> {
    const upstream = new RecordingUpstream()
    if (answer !== undefined) upstream.answer = answer
    await upstream.listen()
    return upstream
  }

  /** Also comes back on the same TCP port after {@link RecordingUpstream.stopListening}. */
  async listen(): Promise<void> {
    this.#server.listen(this.#tcpPort, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    this.#tcpPort = typeof address === 'object' && address !== null ? address.port : 0
    this.url = `http://127.0.0.1:${this.#tcpPort}`
  }

  /** Connections are refused from now on. */
  async stopListening(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async close(): Promise<void> {
    await this.stopListening()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    request.on('error', () => undefined)
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    } catch {
      return
    }
    const { method = '', url = '', rawHeaders, headers } = request
    const recorded = { method, target: url, rawHeaders, headers, body: Buffer.concat(chunks) }
    this.requests.push(recorded)
    await this.answer(recorded, response)
  }
}
