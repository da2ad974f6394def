/** Is each namespace really answered from, and how quickly? Sends a request now and then without being a guest. */
import { closeSync } from 'node:fs'
import type {
  Cancel,
  Clock,
  Count,
  EpochMilliseconds,
  Milliseconds,
  Seconds,
} from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { NamespaceKind } from '../namespaces/identity.ts'
import { connectIn, type ConnectTarget } from '../netns/connect-in.ts'
import { SystemCallError } from '../../lib/linux/libc.ts'
import { openNamespace, type NamespaceKey } from '../netns/namespace-handle.ts'
import type { NamespaceWindow } from '../netns/window.ts'
import { jittered } from '../../lib/runtime/backoff.ts'
import { notOurs, type CanaryOutcome } from '../worker/shared/protocol.ts'

/** A namespace that is served, and where its guests would connect. */
export interface CanaryPlace {
  readonly key: NamespaceKey
  readonly netns: string
  readonly path: string
  readonly kind: NamespaceKind
  readonly targets: readonly ConnectTarget[]
}

/** `unknown` until the first request. */
export type CanaryState = 'up' | 'down' | 'unknown'

export interface CanaryOptions {
  readonly window: NamespaceWindow
  readonly places: () => readonly CanaryPlace[]
  /** Gives a connecting socket to a worker, which sends the request. @returns false when none could take it */
  readonly send: (canaryId: number, fd: number) => boolean
  /** From the end of one round to the next, give or take a quarter. */
  readonly interval: Milliseconds
  /** For one answer; the worker keeps it. */
  readonly timeout: Milliseconds
  /** Namespaces that are checked at the same time. */
  readonly parallel: Count
  readonly clock: Clock
  readonly logger: Logger
  readonly onAnswer: (kind: NamespaceKind, latency: Seconds) => void
}

interface Known {
  readonly kind: NamespaceKind
  readonly netns: string
  state: CanaryState
  why: string | undefined
  failures: Count
}

/** One may be lost to a worker that is being replaced. */
const failuresToDown: Count = 2
/** For a worker that ends before it has reported. */
const grace: Milliseconds = 2_000

const adviceOnRules =
  'Compare with "overlapd status". Nothing at all: look at the rules (nft list table inet overlapd) and at nf_conntrack_count in the namespace.'
const adviceOnAgent =
  'The namespace and the workers are right: the agent does not answer. Look at "overlapd status" and at the log of the agent.'

/** A reason code that blames the agent came from a worker, so the guest gets to a worker. */
function whatToDo(why: string): string {
  return /\bagent_/.test(why) ? adviceOnAgent : adviceOnRules
}

/**
 * Sends requests through each namespace's own listeners, rules and workers, up to the agent. The supervisor makes the sockets and reads nothing from
 * them; a worker sends. What it proves and what not stands in README.md.
 */
export class Canary {
  readonly #options: CanaryOptions
  readonly #known = new Map<NamespaceKey, Known>()
  readonly #waiting = new Map<number, (outcome: CanaryOutcome | undefined) => void>()
  #lastAnswer: EpochMilliseconds | undefined
  #lastId = 0
  #cancelRound: Cancel | undefined
  #isClosed = false

  constructor(options: CanaryOptions) {
    this.#options = options
  }

  start(): void {
    this.#scheduleRound()
  }

  close(): void {
    this.#isClosed = true
    this.#cancelRound?.()
    for (const settle of this.#waiting.values()) settle(undefined)
  }

  /** What a worker found out. */
  report(canaryId: number, outcome: CanaryOutcome): void {
    this.#waiting.get(canaryId)?.(outcome)
  }

  stateOf(key: NamespaceKey): { readonly state: CanaryState; readonly why?: string } {
    const { state, why } = this.#known.get(key) ?? { state: 'unknown', why: undefined }
    return { state, ...(state === 'down' && why !== undefined && { why }) }
  }

  /** Those that do not answer, of how many. */
  troubled(): {
    readonly all: Count
    readonly down: readonly { readonly netns: string; readonly why: string }[]
  } {
    const all = [...this.#known.values()]
    const down = all.filter(({ state }) => state === 'down')
    return { all: all.length, down: down.map(({ netns, why = '' }) => ({ netns, why })) }
  }

  /** When any was answered last; `undefined` while none was. */
  get lastAnswer(): EpochMilliseconds | undefined {
    return this.#lastAnswer
  }

  count(visit: (kind: NamespaceKind, state: CanaryState) => void): void {
    for (const { kind, state } of this.#known.values()) visit(kind, state)
  }

  #scheduleRound(): void {
    const { clock, interval } = this.#options
    this.#cancelRound = clock.schedule(jittered(interval), () => {
      void this.#round().finally(() => {
        if (!this.#isClosed) this.#scheduleRound()
      })
    })
  }

  async #round(): Promise<void> {
    const places = this.#options.places()
    const keys = new Set(places.map(({ key }) => key))
    for (const key of this.#known.keys()) if (!keys.has(key)) this.#known.delete(key)
    const next = places.values()
    const work = async (): Promise<void> => {
      for (const place of next) {
        if (this.#isClosed) return
        await this.#checkPlace(place)
      }
    }
    await Promise.all(Array.from({ length: this.#options.parallel }, work))
  }

  /** Up when each of its addresses answers. */
  async #checkPlace(place: CanaryPlace): Promise<void> {
    for (const target of place.targets) {
      const outcome = await this.#check(place, target)
      if (outcome === undefined || (!outcome.ok && outcome.why === notOurs)) return
      if (!outcome.ok) {
        this.#note(place, `${target.address}: ${outcome.why}`)
        return
      }
      this.#options.onAnswer(place.kind, outcome.latency / 1_000)
    }
    if (place.targets.length > 0) this.#note(place, undefined)
  }

  /** @returns `undefined` when nothing was found out */
  async #check(place: CanaryPlace, target: ConnectTarget): Promise<CanaryOutcome | undefined> {
    const { window, send, clock, timeout } = this.#options
    let fd: number
    try {
      const handle = openNamespace(place.path)
      try {
        if (handle.key !== place.key) return undefined
        fd = connectIn(window, handle, target)
      } finally {
        handle.close()
      }
    } catch (cause) {
      // Anything else is about the name, which the next look at the namespaces settles.
      return cause instanceof SystemCallError ? { ok: false, why: cause.errnoName } : undefined
    }
    this.#lastId += 1
    const canaryId = this.#lastId
    try {
      if (!send(canaryId, fd)) return undefined
    } finally {
      closeSync(fd)
    }
    return new Promise((resolve) => {
      const cancel = clock.schedule(timeout + grace, () => settle(undefined))
      const settle = (outcome: CanaryOutcome | undefined): void => {
        cancel()
        this.#waiting.delete(canaryId)
        resolve(outcome)
      }
      this.#waiting.set(canaryId, settle)
    })
  }

  #note({ key, kind, netns }: CanaryPlace, why: string | undefined): void {
    const known = this.#known.get(key) ?? {
      kind,
      netns,
      state: 'unknown',
      why: undefined,
      failures: 0,
    }
    this.#known.set(key, known)
    const { logger } = this.#options
    known.why = why
    known.failures = why === undefined ? 0 : known.failures + 1
    if (why === undefined) {
      this.#lastAnswer = this.#options.clock.wallTime()
      if (known.state === 'down') logger.info({ netns }, 'The canary is answered again')
      known.state = 'up'
    } else if (known.failures >= failuresToDown && known.state !== 'down') {
      known.state = 'down'
      logger.warn({ netns, why, whatToDo: whatToDo(why) }, 'The canary is not answered')
    }
  }
}
