import type { Duplex } from 'node:stream'
import type { Bytes, Clock, Milliseconds } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import type { OvsdbEndpoint, OvsdbTlsFiles } from './endpoint.ts'

/** What a client of one database needs. */
export interface OvsdbClientOptions {
  readonly endpoints: readonly OvsdbEndpoint[]
  readonly tls?: OvsdbTlsFiles
  /**
   * Connects in another way, for a process that may not open sockets or files by itself. The signal ends the attempt.
   * @default by the endpoint, with `tls`
   */
  readonly connect?: (endpoint: OvsdbEndpoint, signal: AbortSignal) => Promise<Duplex>
  readonly database: string
  /** Take only the leader of a cluster: never behind, at the price of all clients being on one server. */
  readonly leaderOnly: boolean
  readonly clock: Clock
  readonly logger: Logger
  /** From 0 to below 1, for the order of endpoints and for jitter. */
  readonly random: () => number
  readonly limits: OvsdbLimits
}

/** Times and sizes of a client. */
export interface OvsdbLimits {
  readonly connect: Milliseconds
  /** How long a server may prepare the first copy. */
  readonly copy: Milliseconds
  /** How long any other answer may take. */
  readonly answer: Milliseconds
  readonly probeInterval: Milliseconds
  readonly probeTimeout: Milliseconds
  /** First and longest pause between rounds over the endpoints; each is drawn between 0 and the pause. */
  readonly retryFirst: Milliseconds
  readonly retryLongest: Milliseconds
  readonly messageBytes: Bytes
}
