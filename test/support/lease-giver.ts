import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import {
  leaseLine,
  leasedHeaderNames,
  readLeaseRequest,
  type LeaseNews,
  type LeaseRequest,
} from '../../lib/wire/lease-messages.ts'
import { instanceId, projectId } from '../conformance/topology.ts'
import { scratchFolder } from './scratch-folder.ts'

/** The agent's end of a lease channel, which does and says what a test wants. */
export class LeaseGiver {
  readonly path: string
  readonly heard: LeaseRequest[] = []
  /** How often workers have connected. */
  connections = 0
  /** Called for each message of a worker. */
  answer: (request: LeaseRequest) => void = () => undefined
  #server: Server = createServer()
  #socket: Socket | undefined

  private constructor(path: string) {
    this.path = path
  }

  static async start(t: Test): Promise<LeaseGiver> {
    const giver = new LeaseGiver(join(scratchFolder(t), 'lease.sock'))
    await giver.listen()
    t.teardown(() => giver.stop())
    return giver
  }

  async listen(): Promise<void> {
    this.#server = createServer((socket) => this.#serve(socket))
    this.#server.listen(this.path)
    await once(this.#server, 'listening')
  }

  /** As a process does that is killed. */
  stop(): void {
    this.#server.close()
    this.#socket?.destroy()
  }

  say(...news: readonly LeaseNews[]): void {
    this.write(news.map(leaseLine).join(''))
  }

  write(text: string): void {
    this.#socket?.write(text)
  }

  hangUp(): void {
    this.#socket?.destroy()
  }

  #serve(socket: Socket): void {
    this.connections += 1
    this.#socket = socket
    socket.on('error', () => undefined)
    this.say({ kind: 'heartbeat' })
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        const request = readLeaseRequest(JSON.parse(line))
        if (request === undefined) throw new Error(`A worker said "${line}"`)
        this.heard.push(request)
        this.answer(request)
      }
    })
  }
}

/** A lease for whoever asked, of instance `number`. */
export function leaseFor(
  request: Extract<LeaseRequest, { kind: 'request' }>,
  urls: readonly string[],
  number = 1,
): Extract<LeaseNews, { kind: 'lease' }> {
  const values = [request.sourceIp, instanceId(number), projectId(1), 'f'.repeat(64)]
  const headers = leasedHeaderNames.flatMap((name, index) => [name, values[index]!])
  return {
    kind: 'lease',
    request: request.request,
    lease: request.request + 1_000,
    ttl: 5_000,
    upstreams: urls.map((url) => ({ url, insecure: false, headers })),
  }
}
