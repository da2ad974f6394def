import { createServer, type Socket } from 'node:net'
import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { reportOnDemand } from './bench-process.ts'

/** How slow the compute metadata API of a benchmark is. */
export interface UpstreamLimits {
  /** Time before each answer. @default 0 */
  readonly delay?: Milliseconds
  /** Requests served at once; the rest wait, as they do in front of a small Nova. @default any number */
  readonly concurrency?: Count
  /** Closes each connection after its answer and sends no length, as Debian's Nova behind uWSGI does. @default false */
  readonly closes?: boolean
}

interface UpstreamOptions extends UpstreamLimits {
  readonly host: string
  /** 0 lets the system choose. */
  readonly tcpPort: number
}

/** What the program prints. */
export interface UpstreamStarted {
  readonly tcpPort: number
}

const bodySize = 1_400
const endOfHead = Buffer.from('\r\n\r\n')

/**
 * A compute metadata API that costs next to nothing, so that a benchmark measures what stands in front of it. Its answer
 * has the size of a usual meta_data.json and names the instance it was asked for, so that a wrong answer is seen.
 * Does not check signatures; it is no stand-in for anything but time and bytes.
 */
function startConstantUpstream(options: UpstreamOptions): Promise<UpstreamStarted> {
  const { delay = 0, concurrency = Infinity, closes = false } = options
  let running = 0
  const waiting: (() => void)[] = []

  function admit(work: () => void): void {
    if (running >= concurrency) {
      waiting.push(work)
      return
    }
    running += 1
    work()
  }

  function release(): void {
    running -= 1
    const next = waiting.shift()
    if (next !== undefined) admit(next)
  }

  function answer(socket: Socket, head: string): void {
    const id = /\r\nx-instance-id: *([^\r]*)/i.exec(head)?.[1] ?? ''
    const start = `{"uuid": "${id}", "padding": "`
    const body = `${start}${'x'.repeat(bodySize - start.length - 2)}"}`
    const send = (): void => {
      const length = closes ? '' : `Content-Length: ${body.length}\r\n`
      const text = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${length}\r\n${body}`
      if (closes) socket.end(text)
      else socket.write(text)
    }
    if (delay === 0) {
      send()
      return
    }
    admit(() => {
      setTimeout(() => {
        send()
        release()
      }, delay)
    })
  }

  const server = createServer({ noDelay: true }, (socket) => {
    let rest: Buffer = Buffer.alloc(0)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      for (let end = rest.indexOf(endOfHead); end >= 0; end = rest.indexOf(endOfHead)) {
        const head = rest.toString('latin1', 0, end)
        rest = rest.subarray(end + endOfHead.length)
        answer(socket, head)
      }
    })
  })
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen({ host: options.host, port: options.tcpPort, backlog: 4096 }, () => {
      const address = server.address()
      resolve({ tcpPort: typeof address === 'object' && address !== null ? address.port : 0 })
    })
  })
}

const started = await startConstantUpstream(JSON.parse(process.argv[2] ?? '{}') as UpstreamOptions)
reportOnDemand(() => started)
