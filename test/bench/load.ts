import type { Socket } from 'node:net'
import type { Count, Milliseconds } from '../../lib/clock.ts'
import { ClientConnection } from './client-connection.ts'
import { Latencies } from './latencies.ts'

/** Somewhere to ask, and the text that a right answer holds. */
export interface LoadTarget {
  /** Opens a connection as the guest of this target would. */
  connect(): Socket
  readonly path: string
  readonly expected: string
}

export interface LoadOptions {
  readonly targets: readonly LoadTarget[]
  /** How many requests run at the same time. */
  readonly connections: Count
  /** Whether a lane keeps its connection, or opens one for each request as guests do. */
  readonly keepAlive: boolean
  readonly requests: Count
}

export interface LoadResult {
  readonly requests: Count
  readonly seconds: number
  readonly requestsPerSecond: number
  readonly p50Ms: Milliseconds | null
  readonly p99Ms: Milliseconds | null
  readonly maxMs: Milliseconds | null
  /** No answer, or one that is not 200. */
  readonly errors: Count
  /** 200 with somebody else's data. */
  readonly wrong: Count
  /** What the errors were: status and reason code, or `broken`. */
  readonly errorKinds: Readonly<Record<string, Count>>
}

/** Runs a fixed number of requests and measures each. Latency of a new connection includes connecting. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const latencies = new Latencies(options.requests)
  const errorKinds: Record<string, Count> = {}
  let errors = 0
  let wrong = 0
  let issued = 0

  async function lane(number: number): Promise<void> {
    let connection: ClientConnection | undefined
    while (issued < options.requests) {
      const turn = issued
      issued += 1
      const index = options.keepAlive ? number : turn
      const target = options.targets[index % options.targets.length]
      if (target === undefined) return
      const begun = performance.now()
      if (connection === undefined || !connection.usable) {
        connection = new ClientConnection(target.connect())
      }
      const answer = await connection.ask(
        requestText(target.path, options.keepAlive),
        target.expected,
      )
      latencies.add(performance.now() - begun)
      if (answer === undefined || answer.status !== 200) {
        errors += 1
        const kind =
          answer === undefined ? 'broken' : `${answer.status} ${answer.reason ?? ''}`.trim()
        errorKinds[kind] = (errorKinds[kind] ?? 0) + 1
      } else if (!answer.right) wrong += 1
      if (!options.keepAlive) {
        connection.destroy()
        connection = undefined
      }
    }
    connection?.destroy()
  }

  const begun = performance.now()
  await Promise.all(Array.from({ length: options.connections }, (_, number) => lane(number)))
  const seconds = (performance.now() - begun) / 1000
  return {
    requests: latencies.count,
    seconds,
    requestsPerSecond: latencies.count / seconds,
    p50Ms: latencies.percentile(0.5),
    p99Ms: latencies.percentile(0.99),
    maxMs: latencies.percentile(1),
    errors,
    wrong,
    errorKinds,
  }
}

function requestText(path: string, keepAlive: boolean): string {
  const connection = keepAlive ? '' : 'Connection: close\r\n'
  return `GET ${path} HTTP/1.1\r\nHost: 169.254.169.254\r\nAccept: */*\r\n${connection}\r\n`
}
