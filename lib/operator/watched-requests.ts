/** Which of two streams shows a request, when both have it? */
import type { Daemon } from '../config/defaults.ts'
import type { Count } from '../runtime/clock.ts'
import { textOf } from './answer-fields.ts'

/** A request reaches one stream long before so many others do. */
const mostRemembered: Count = 10_000

/**
 * Lets each request through once. The agent knows whose it is, so its word counts; from the proxy come those that the agent did not
 * answer, and a worker's own refusal counts whatever the agent made of it.
 */
export class WatchedRequests {
  readonly #watched = new Set<Daemon>()
  readonly #seen = new Set<string>()

  watches(daemon: Daemon): void {
    this.#watched.add(daemon)
  }

  leaves(daemon: Daemon): void {
    this.#watched.delete(daemon)
  }

  isNew(daemon: Daemon, event: Readonly<Record<string, unknown>>): boolean {
    const requestId = textOf(event['requestId'])
    if (daemon === 'agent') {
      this.#remember(requestId)
      return true
    }
    if (event['answeredBy'] === 'worker') return true
    if (event['answeredBy'] === 'agent' && this.#watched.has('agent')) return false
    return !this.#seen.has(requestId)
  }

  #remember(requestId: string): void {
    this.#seen.add(requestId)
    const [oldest] = this.#seen
    if (this.#seen.size > mostRemembered && oldest !== undefined) this.#seen.delete(oldest)
  }
}
