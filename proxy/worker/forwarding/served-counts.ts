/** What was served under leases, which the agent has not seen? */
import type { Cancel, Clock, Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import { documentClassesOf } from '../../../lib/shield/document-class.ts'
import type { LeasedUse } from '../../../lib/wire/lease-messages.ts'

interface Use {
  readonly lease: number
  readonly agent: string
  requests: Count
  target: string
}

/** Sooner than the agent forgets a lease that has ended. */
const reportPause: Milliseconds = 500
const mostUses: Count = 512

/** Counts requests of one program for one class of documents together, and reports them every now and then. */
export class ServedCounts {
  readonly #clock: Clock
  readonly #report: (use: LeasedUse) => void
  readonly #uses = new Map<string, Use>()
  #timer: Cancel | undefined

  constructor(clock: Clock, report: (use: LeasedUse) => void) {
    this.#clock = clock
    this.#report = report
  }

  /** @param agent the User-Agent, printable and no longer than a message may hold */
  note(lease: number, agent: string, target: string): void {
    const key = `${lease} ${documentClassesOf(target).join(' ')} ${agent}`
    const use = this.#uses.get(key)
    if (use !== undefined) {
      use.requests += 1
      use.target = target
      return
    }
    if (this.#uses.size >= mostUses) this.#flush()
    this.#uses.set(key, { lease, agent, target, requests: 1 })
    this.#timer ??= this.#clock.schedule(reportPause, () => this.#flush())
  }

  close(): void {
    this.#timer?.()
    this.#timer = undefined
    this.#uses.clear()
  }

  #flush(): void {
    this.#timer?.()
    this.#timer = undefined
    for (const use of this.#uses.values()) this.#report({ kind: 'served', ...use })
    this.#uses.clear()
  }
}
