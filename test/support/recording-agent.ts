import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One request as it arrived at the agent's socket. */
export interface RecordedRequest {
  /** Every byte, head and body. */
  readonly bytes: Buffer
  readonly method: string
  readonly target: string
  /** Names as spelled, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  readonly socket: Socket
  /** Resolves when the connection it came on is closed. */
  readonly closed: Promise<void>
  /** Values of every field of that name. */
  valuesOf(name: string): readonly string[]
}

/** What to do with a request: bytes to answer with, or nothing when the handler writes to the socket itself. */
export type AnswerRequest = (request: RecordedRequest) => string | Buffer | undefined

/**
 * An agent that understands only framing, on purpose: it keeps whatever bytes it gets, so that a test sees what a proxy
 * really sent. Answers as it is told.
 */
export class RecordingAgent {
  readonly path: string
  readonly requests: RecordedRequest[] = []
  connections = 0
  answer: AnswerRequest = () => plainAnswer('ok')
  readonly #folder: string
  readonly #sockets = new Set<Socket>()
  readonly #waiting: (() => void)[] = []
  #server: Server

  private constructor(folder: string, server: Server) {
    this.#folder = folder
    this.path = join(folder, 'agent.sock')
    this.#server = server
  }

  static async start(): Promise<RecordingAgent> {
    const folder = await mkdtemp(join(tmpdir(), 'ovt-agent-'))
    const agent = new RecordingAgent(folder, createServer())
    await agent.listen()
    return agent
  }

  /** Also used to come back after {@link RecordingAgent.stopListening}. */
  async listen(): Promise<void> {
    this.#server = createServer((socket) => this.#serve(socket))
    this.#server.listen(this.path)
    await once(this.#server, 'listening')
  }

  /** Removes the socket file and ends all connections, as a restart does. */
  async stopListening(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** Waits until so many requests have been recorded in all. */
  async recorded(count: number): Promise<RecordedRequest> {
    while (this.requests.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    return this.requests[count - 1]!
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.stopListening()
    await rm(this.#folder, { recursive: true, force: true })
  }

  #serve(socket: Socket): void {
    this.connections += 1
    this.#sockets.add(socket)
    const closed = new Promise<void>((resolve) => {
      socket.on('close', () => {
        this.#sockets.delete(socket)
        resolve()
      })
    })
    socket.on('error', () => undefined)
    let pending = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      for (;;) {
        const taken = takeRequest(pending, socket, closed)
        if (taken === undefined) return
        pending = pending.subarray(taken.bytes.length)
        this.requests.push(taken)
        for (const wake of this.#waiting.splice(0)) wake()
        const answer = this.answer(taken)
        if (answer !== undefined) socket.write(answer)
      }
    })
  }
}

function takeRequest(
  bytes: Buffer,
  socket: Socket,
  closed: Promise<void>,
): RecordedRequest | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const [start = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n')
  const [method = '', target = ''] = start.split(' ')
  const fields = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const
  })
  const valuesOf = (name: string): string[] =>
    fields.filter(([own]) => own.toLowerCase() === name).map(([, value]) => value)
  const end = headEnd + 4 + Number(valuesOf('content-length')[0] ?? 0)
  if (bytes.length < end) return undefined
  return {
    bytes: bytes.subarray(0, end),
    method,
    target,
    fields,
    body: bytes.subarray(headEnd + 4, end),
    socket,
    closed,
    valuesOf,
  }
}

/** A whole 200 with a length. */
export function plainAnswer(body: string | Buffer, ...fields: string[]): Buffer {
  const bytes = Buffer.from(body)
  const head = ['HTTP/1.1 200 OK', 'Content-Type: text/plain', ...fields]
  return Buffer.concat([
    Buffer.from(`${head.join('\r\n')}\r\nContent-Length: ${bytes.length}\r\n\r\n`),
    bytes,
  ])
}
