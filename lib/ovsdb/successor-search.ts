import type { Candidate } from './candidate.ts'
import { OvsdbError } from './ovsdb-error.ts'
import type { OvsdbSession } from './session.ts'

/**
 * Looks for another server beside a session whose server is silent. The session stays for as long as no better one is
 * found: a server may be busy, and its clients would make that worse by coming back to it all at once.
 */
export class SuccessorSearch {
  readonly #session: OvsdbSession
  readonly #find: (signal: AbortSignal) => Promise<Candidate | undefined>
  #running: AbortController | undefined
  #found: Candidate | undefined

  constructor(
    session: OvsdbSession,
    find: (signal: AbortSignal) => Promise<Candidate | undefined>,
  ) {
    this.#session = session
    this.#find = find
  }

  /** Who takes the place of the session, which has been ended for that. */
  get found(): Candidate | undefined {
    return this.#found
  }

  /** The server fell silent, or sent again, or its session ended for whatever reason. */
  note(isSilent: boolean): void {
    this.#running?.abort()
    this.#running = undefined
    if (!isSilent || this.#found !== undefined) return
    const running = new AbortController()
    this.#running = running
    void this.#search(running.signal)
  }

  async #search(signal: AbortSignal): Promise<void> {
    const found = await this.#find(signal)
    if (found === undefined) return
    if (signal.aborted) {
      found.session.fail(new OvsdbError('closed', 'The server it was to stand in for is back'))
      return
    }
    this.#found = found
    this.#session.fail(new OvsdbError('timeout', 'It is silent, and another server is not'))
  }
}
