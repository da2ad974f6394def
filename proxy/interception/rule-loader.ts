/** How do rules get into a namespace, and are they still there? As netlink messages, recorded once from what libnftables made of them. */
import type { Count } from '../../lib/runtime/clock.ts'
import type { Attachment } from '../namespaces/plan-attachments.ts'
import { openNamespace } from '../netns/namespace-handle.ts'
import type { NftLibrary } from '../netlink/nftables.ts'
import {
  countRules,
  recordTable,
  removalOf,
  TablePlayer,
  type TableRecording,
} from '../netlink/table-recording.ts'
import { TableEvents } from '../netlink/table-events.ts'
import type { NamespaceWindow } from '../netns/window.ts'

export interface RuleLoaderOptions {
  readonly window: NamespaceWindow
  readonly library: NftLibrary
  /** The table that every ruleset replaces. */
  readonly table: string
}

/** A namespace, as long as its name still stands for it. */
export type RuleTarget = Pick<Attachment, 'path' | 'key'>

/** Loads rulesets in namespaces. */
export class RuleLoader {
  readonly #options: RuleLoaderOptions
  readonly #recordings = new Map<string, TableRecording>()
  readonly #removal: TableRecording
  readonly #player = new TablePlayer()

  constructor(options: RuleLoaderOptions) {
    this.#options = options
    this.#removal = removalOf(options.table)
  }

  /**
   * Has the library read a ruleset once, in a namespace made for it, so that loading it in many namespaces costs a third. What is
   * not prepared is read each time.
   * @throws Error when the ruleset cannot be loaded there, or when what was read back is not the same when it is loaded in turn
   */
  prepare(ruleset: string): void {
    const { library, window, table } = this.#options
    try {
      const recording = window.runInNew(() => {
        library.run(ruleset)
        const made = recordTable(table)
        this.#player.play(made)
        if (Buffer.compare(recordTable(table).messages, made.messages) !== 0) {
          throw new Error('The kernel reads its own rules differently')
        }
        return made
      })
      this.#recordings.set(ruleset, recording)
    } finally {
      this.release()
    }
  }

  /** Loads rules in the namespace that the calling thread is in. System calls only. @throws Error with what was wrong */
  loadInside(ruleset: string): void {
    const recording = this.#recordings.get(ruleset)
    try {
      if (recording !== undefined) {
        this.#player.play(recording)
        return
      }
    } catch {
      // The library reports more of what is wrong.
    }
    this.#options.library.run(ruleset)
  }

  /** @throws Error with what was wrong, or that the name stands for another namespace */
  load(target: RuleTarget, ruleset: string): void {
    this.#runIn(target, () => this.loadInside(ruleset))
  }

  /** Removes the table; one that is not there is no error. @throws as {@link load} */
  remove(target: RuleTarget): void {
    this.#runIn(target, () => this.#player.play(this.#removal))
  }

  /** How many rules the table has there. @throws as {@link load} */
  count(target: RuleTarget): Count {
    return this.#runIn(target, () => countRules(this.#options.table))
  }

  /** Listens there to changes of rules, whoever makes them. @throws as {@link load} */
  events(target: RuleTarget): TableEvents {
    return this.#runIn(target, () => new TableEvents())
  }

  #runIn<Value>({ path, key }: RuleTarget, work: () => Value): Value {
    const handle = openNamespace(path)
    try {
      if (handle.key !== key) throw new Error('the name stands for another namespace')
      return this.#options.window.run(handle, work)
    } finally {
      handle.close()
    }
  }

  /** A batch is done: lets go of what pins its namespaces. */
  release(): void {
    this.#player.release()
    this.#options.library.release()
  }
}
