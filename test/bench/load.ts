import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { ClientConnection } from './client-connection.ts'
import {
  askWithPatience,
  Endings,
  openConnection,
  requestText,
  type LoadTarget,
} from './guest-request.ts'
import { Latencies } from './latencies.ts'

/** How guests are asked for. */
export interface LoadShape {
  /** How many requests run at the same time. */
  readonly connections: Count
  /** Whether a lane keeps its connection, or opens one for each request as guests do. */
  readonly keepAlive: boolean
  readonly requests: Count
}

export interface LoadOptions extends LoadShape {
  readonly targets: readonly LoadTarget[]
}

/** What came of a load. */
export interface LoadResult {
  readonly requests: Count
  readonly seconds: number
  readonly requestsPerSecond: number
  readonly p50Ms: Milliseconds | null
  readonly p99Ms: Milliseconds | null
  /** No answer, or one that is not 200. */
  readonly errors: Count
  /** 200 with somebody else's data. */
  readonly wrong: Count
  readonly errorKinds: Readonly<Record<string, Count>> | null
}

/** Runs a fixed number of requests and measures each. Latency of a new connection includes connecting. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { targets, keepAlive } = options
  const latencies = new Latencies(options.requests)
  const endings = new Endings()
  let issued = 0

  async function lane(number: number): Promise<void> {
    let connection: ClientConnection | undefined
    while (issued < options.requests) {
      const turn = issued
      issued += 1
      const target = targets[(keepAlive ? number : turn) % targets.length]
      if (target === undefined) return
      const begun = performance.now()
      if (connection?.usable !== true) connection = openConnection(target)
      const request = requestText(target.path, keepAlive, target.fields)
      const ending = await askWithPatience(connection, request, target.expected)
      latencies.add(performance.now() - begun)
      endings.add(ending)
      if (!keepAlive) {
        connection?.destroy()
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
    ...endings.figures(),
  }
}
