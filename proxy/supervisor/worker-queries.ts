/** How is a query put to all workers at once, and when is it answered? */
import type { Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { WorkerProcess } from './worker-process.ts'
import type { WorkerAnswer, WorkerQuery } from './worker-query.ts'

/** One query to all workers. */
interface Round {
  readonly waiting: Set<WorkerProcess>
  readonly finish: () => void
  readonly onAnswer: (worker: WorkerProcess, answer: WorkerAnswer) => void
}

/** A query of all workers does not wait for one that is busy. */
const answerLimit: Milliseconds = 1_000

/** The queries that are under way. */
export class WorkerQueries {
  readonly #clock: Clock
  readonly #rounds = new Map<number, Round>()
  #lastRound: Count = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Queries every worker that is ready; resolves when all have answered, or when waiting makes no sense any more. */
  async query(
    workers: readonly WorkerProcess[],
    query: (worker: WorkerProcess, id: number) => WorkerQuery,
    onAnswer: Round['onAnswer'],
  ): Promise<void> {
    const waiting = new Set(workers.filter(({ state }) => state === 'ready'))
    if (waiting.size === 0) return
    this.#lastRound += 1
    const id = this.#lastRound
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.schedule(answerLimit, resolve)
      const finish = (): void => {
        cancel()
        resolve()
      }
      this.#rounds.set(id, { waiting, finish, onAnswer })
      for (const worker of waiting) worker.query(query(worker, id))
    })
    this.#rounds.delete(id)
  }

  answered(worker: WorkerProcess, answer: WorkerAnswer): void {
    const round = this.#rounds.get(answer.id)
    if (round?.waiting.has(worker) !== true) return
    round.onAnswer(worker, answer)
    this.#settle(round, worker)
  }

  /** It will not answer any more. */
  gone(worker: WorkerProcess): void {
    for (const round of this.#rounds.values()) this.#settle(round, worker)
  }

  #settle({ waiting, finish }: Round, worker: WorkerProcess): void {
    if (waiting.delete(worker) && waiting.size === 0) finish()
  }
}
