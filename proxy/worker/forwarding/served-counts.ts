/** What was served under leases, which the agent has not seen? */
import type { Cancel, Clock, Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import { keptText } from '../../../lib/observe/kept-text.ts'
import { documentClassesOf } from '../../../lib/shield/document-class.ts'
import { longestLeasedUse, type LeasedUse } from '../../../lib/wire/lease-messages.ts'

interface Use {
  readonly lease: number
  readonly agent: string
  requests: Count
  target: string
}

/** Sooner than the agent forgets a lease that has ended. */
const reportPause: Milliseconds = 500
const mostUses: Count = 512
/** Guests read the same few documents. */
const mostKnownTargets: Count = 256

/** Counts requests of one program for one class of documents together, and reports them every now and then. */
export class ServedCounts {
  readonly #clock: Clock
  readonly #report: (uses: readonly LeasedUse[]) => void
  readonly #classes = new Map<string, string>()
  readonly #uses = new Map<string, Use>()
  #timer: Cancel | undefined

  constructor(clock: Clock, report: (uses: readonly LeasedUse[]) => void) {
    this.#clock = clock
    this.#report = report
  }

  /** @param agent the User-Agent, printable and no longer than a message may hold */
  note(lease: number, agent: string, target: string): void {
    const key = `${lease} ${this.#classesOf(target)} ${agent}`
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

  #classesOf(target: string): string {
    const known = this.#classes.get(target)
    if (known !== undefined) return known
    const classes = documentClassesOf(target).join(' ')
    if (this.#classes.size >= mostKnownTargets) this.#classes.clear()
    this.#classes.set(keptText(target, longestLeasedUse.target), classes)
    return classes
  }

  #flush(): void {
    this.#timer?.()
    this.#timer = undefined
    this.#report(Array.from(this.#uses.values(), (use) => ({ kind: 'served', ...use })))
    this.#uses.clear()
  }
}
