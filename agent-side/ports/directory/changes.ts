import { causeText } from '../../../lib/runtime/errors.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import type { DirectoryChange } from './port-directory.ts'

type Listener = (change: DirectoryChange) => void

/** The listeners to the changes of one directory. */
export class ChangeListeners {
  readonly #directory: string
  readonly #logger: Logger
  readonly #listeners = new Set<Listener>()

  /** @param directory its kind, for the log */
  constructor(directory: string, logger: Logger) {
    this.#directory = directory
    this.#logger = logger
  }

  /** @returns the function that ends the subscription */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Calls every listener, also after one that throws: each may hold answers that are wrong now. */
  report(change: DirectoryChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (cause) {
        const details = { directory: this.#directory, cause: causeText(cause) }
        this.#logger.error(details, 'Listener to changes of ports failed')
      }
    }
  }

  clear(): void {
    this.#listeners.clear()
  }
}
