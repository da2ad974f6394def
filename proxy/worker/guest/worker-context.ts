import type { Clock, Count } from '../../../lib/runtime/clock.ts'
import type { Forwarder } from '../forwarding/forwarder.ts'
import type { Ledger } from './ledger.ts'
import type { WorkerMetrics } from '../shared/metrics.ts'
import type { WorkerConfig } from '../shared/protocol.ts'
import type { RefusalLog } from '../../../lib/observe/refusal-log.ts'
import type { RequestIds } from './request-ids.ts'
import type { KnownFacts } from './sent-facts.ts'
import type { RequestLog } from './request-log.ts'

/** What every connection and request of a worker shares. */
export interface WorkerContext {
  readonly forwarder: Forwarder
  readonly limits: WorkerConfig['limits']
  readonly metrics: WorkerMetrics
  readonly log: RefusalLog
  readonly requestIds: RequestIds
  readonly requests: RequestLog
  readonly facts: KnownFacts
  /** For all that guests make this worker hold. */
  readonly ledger: Ledger
  readonly clock: Clock
  /** Of what leaves a connection. @throws {SystemCallError} */
  readonly setHopLimit: (fd: number, isPeerIpv6: boolean, hops: Count) => void
}
