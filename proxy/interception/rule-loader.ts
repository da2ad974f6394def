/** How do rules get into a namespace, and are they still there? By the library where it can be loaded, by the program otherwise. */
import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { Attachment } from '../namespaces/plan-attachments.ts'
import { openNamespace, type NamespaceHandle } from '../netns/namespace-handle.ts'
import type { NftLibrary } from '../netlink/nftables.ts'
import {
  countRules,
  recordTable,
  TablePlayer,
  type TableRecording,
} from '../netlink/table-recording.ts'
import type { NamespaceWindow } from '../netns/window.ts'
import { findNftPrograms, loadRuleset, type NftPrograms } from './nft.ts'

export interface RuleLoaderOptions {
  readonly window: NamespaceWindow
  /** Absent, `nft` is started for every namespace: 10 ms of processor time instead of a fraction of one. */
  readonly library: NftLibrary | undefined
  /** For one run of the program. */
  readonly timeout: Milliseconds
}

/** A namespace, as long as its name still stands for it. */
export type RuleTarget = Pick<Attachment, 'path' | 'key'>

/** Loads rulesets in namespaces. */
export class RuleLoader {
  readonly #options: RuleLoaderOptions
  readonly #recordings = new Map<string, TableRecording>()
  readonly #player = new TablePlayer()
  #programs: NftPrograms | undefined

  constructor(options: RuleLoaderOptions) {
    this.#options = options
  }

  /** Whether rules are loaded by system calls of this process, so that it can be done inside a window. */
  get isDirect(): boolean {
    return this.#options.library !== undefined
  }

  /**
   * Has the library read rulesets once, in a namespace made for it, so that loading each in many namespaces costs a third. What is
   * not prepared is read each time.
   * @param table what the rulesets make or remove
   * @throws Error when a ruleset cannot be loaded there, or when what was read back is not the same when it is loaded in turn
   */
  prepare(table: string, rulesets: readonly string[]): void {
    const { library, window } = this.#options
    if (library === undefined) return
    const recordings = window.runInNew(() =>
      rulesets.map((ruleset) => {
        library.run(ruleset)
        const recording = recordTable(table)
        this.#player.play(recording)
        if (Buffer.compare(recordTable(table).messages, recording.messages) !== 0) {
          throw new Error('The kernel reads its own rules differently')
        }
        return recording
      }),
    )
    for (const [index, recording] of recordings.entries()) {
      this.#recordings.set(rulesets[index] ?? '', recording)
    }
    this.release()
  }

  /**
   * Loads rules in the namespace that the calling thread is in.
   * @throws Error with what was wrong; TypeError when there is no library
   */
  loadInside(ruleset: string): void {
    const { library } = this.#options
    if (library === undefined) throw new TypeError('Rules are loaded by a program')
    const recording = this.#recordings.get(ruleset)
    try {
      if (recording !== undefined) {
        this.#player.play(recording)
        return
      }
    } catch {
      // The library tells more of what is wrong.
    }
    library.run(ruleset)
  }

  /** @throws Error with what was wrong, or that the name stands for another namespace; the signal's reason */
  async load(attachment: RuleTarget, ruleset: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { window, timeout } = this.#options
    const handle = openAttached(attachment)
    try {
      if (this.isDirect) {
        window.run(handle, () => this.loadInside(ruleset))
        return
      }
      this.#programs ??= findNftPrograms()
      const limited = AbortSignal.any([AbortSignal.timeout(timeout), signal])
      await loadRuleset(this.#programs, handle, ruleset, limited)
    } finally {
      handle.close()
    }
  }

  /** How many rules a table has there. @throws as {@link load} */
  count(attachment: RuleTarget, table: string): Count {
    const handle = openAttached(attachment)
    try {
      return this.#options.window.run(handle, () => countRules(table))
    } finally {
      handle.close()
    }
  }

  /** A batch is done: lets go of what pins its namespaces. */
  release(): void {
    this.#player.release()
    this.#options.library?.release()
  }
}

function openAttached({ path, key }: RuleTarget): NamespaceHandle {
  const handle = openNamespace(path)
  if (handle.key === key) return handle
  handle.close()
  throw new Error('the name stands for another namespace')
}
