import type { ByteSocket } from '../../../lib/sockets/byte-socket.ts'
import type { Count } from '../../../lib/runtime/clock.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import type { GuestIdentity } from '../shared/guest-identity.ts'
import type { Shortage } from './accounts.ts'
import type { Holding } from './ledger.ts'

/** What an exchange needs of the connection it is on. */
export interface ExchangeConnection<Exchange> {
  readonly socket: ByteSocket
  /** Who the guest is. */
  readonly identity: GuestIdentity
  /** Answers with a refusal, drops what is left of the request, and ends the connection. */
  refuse(code: ReasonCode, exchange: Exchange): void
  /** The answer is out: the next request may start. */
  exchangeDone(): void
  /** What the connection holds; `undefined` once nothing counts any more. */
  readonly holding: Holding | undefined
  /** @returns false when the exchange has to wait for its turn */
  takeTurn(exchange: Exchange): boolean
  /** Nothing that is sent from now on goes further than so many hops. */
  limitHops(hops: Count): void
  /** Ends the connection so that the guest cannot take what it got for a whole answer. */
  reset(): void
  /** Ends the connection for the sake of others. */
  giveWay(shortage: Shortage): void
  /** Ends the connection for a defect of ours. */
  failed(cause: unknown): void
  /** Fields for a log line. */
  describe(): Record<string, unknown>
}
