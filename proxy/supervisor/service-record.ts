/** Have workers served guests lately, and have they died? */
import type {
  Clock,
  Count,
  EpochMilliseconds,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../lib/runtime/clock.ts'
import { RingBuffer } from '../../lib/observe/ring-buffer.ts'

const lately: Milliseconds = 300_000
const mostDeaths: Count = 16

/** What is known of all workers together, those that are gone included. */
export class ServiceRecord {
  readonly #clock: Clock
  readonly #deaths = new RingBuffer<MonotonicMilliseconds>(mostDeaths)
  readonly #served = new Map<number, Count>()
  #servedAt: EpochMilliseconds | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** When a guest was served last, give or take a second; `undefined` when none was. */
  get servedAt(): EpochMilliseconds | undefined {
    return this.#servedAt
  }

  /** Deaths of workers in the latest five minutes. */
  get recentDeaths(): Count {
    const since = this.#clock.now() - lately
    return this.#deaths.newest(mostDeaths).filter((at) => at >= since).length
  }

  /** @param served how many answers of status 2xx the worker has given until now */
  noteServed(worker: number, served: Count): void {
    if (served > (this.#served.get(worker) ?? 0)) this.#servedAt = this.#clock.wallTime()
    this.#served.set(worker, served)
  }

  noteEnd(worker: number): void {
    this.#served.delete(worker)
  }

  noteDeath(): void {
    this.#deaths.add(this.#clock.now())
  }
}
