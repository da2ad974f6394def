/**
 * Whose answer gives way when too much of them is not read? An answer is taken off compute whether its guest reads it or not, so that
 * none of compute's slots waits for a guest. What is not read meanwhile is held here, and that is counted.
 */
import type { Bytes, Cancel, Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import type { RequestHolder } from './request-holder.ts'

/** `most_held`: all of them took too much, and its holder had most of it. `stalled`: it is too long to hold whole, and its peer stopped reading. */
export type CutOffReason = 'most_held' | 'stalled'

/** An answer of which something may be unread. */
export interface UnreadAnswer {
  readonly holder: RequestHolder
  /** Not with the kernel yet. */
  readonly unreadBytes: Bytes
  cutOff(why: CutOffReason): void
}

export interface UnreadAnswersOptions {
  readonly clock: Clock
  /** Of all answers together. @default 64 MiB */
  readonly most?: Bytes
  /** Of a longer answer, compute keeps the rest until it is read. @default 4 MiB */
  readonly mostOfOne?: Bytes
}

/** How long compute is made to wait for a guest, each time. */
const longestStall: Milliseconds = 5_000

/** By what answers are compared, the widest first: a host that invents sources gains nothing by it. */
const levels = ['peer', 'scope', 'source'] as const satisfies readonly (keyof RequestHolder)[]

/** Counts the bytes of answers that their peers do not read. */
export class UnreadAnswers {
  readonly #clock: Clock
  readonly #most: Bytes
  readonly #mostOfOne: Bytes
  /** As they were when they were last looked at: they only grow by a call. */
  readonly #held = new Map<UnreadAnswer, Bytes>()
  #total: Bytes = 0

  constructor({
    clock,
    most = 64 * 1024 * 1024,
    mostOfOne = 4 * 1024 * 1024,
  }: UnreadAnswersOptions) {
    this.#clock = clock
    this.#most = most
    this.#mostOfOne = mostOfOne
  }

  get total(): Bytes {
    return this.#total
  }

  /** Something was written to it, or read of it. @returns whether more of it may come now */
  note(answer: UnreadAnswer): boolean {
    this.#look(answer)
    if (this.#total > this.#most) this.#makeRoom()
    return answer.unreadBytes <= this.#mostOfOne
  }

  /** It has ended, in whatever way. */
  forget(answer: UnreadAnswer): void {
    this.#total -= this.#held.get(answer) ?? 0
    this.#held.delete(answer)
  }

  /** Compute waits for its guest from now on. @returns the function to call when it no longer does */
  waitFor(answer: UnreadAnswer): Cancel {
    return this.#clock.schedule(longestStall, () => answer.cutOff('stalled'))
  }

  #look(answer: UnreadAnswer): void {
    const { unreadBytes } = answer
    this.#total += unreadBytes - (this.#held.get(answer) ?? 0)
    this.#held.set(answer, unreadBytes)
  }

  #makeRoom(): void {
    for (const answer of this.#held.keys()) this.#look(answer)
    while (this.#total > this.#most) {
      const victim = this.#largest()
      if (victim === undefined) return
      this.forget(victim)
      victim.cutOff('most_held')
    }
  }

  /** Of the host that holds most, of its network or router that holds most, of the source that holds most there. */
  #largest(): UnreadAnswer | undefined {
    let among = [...this.#held]
    for (const level of levels) among = largestPart(among, ({ holder }) => holder[level])
    let largest: readonly [UnreadAnswer, Bytes] | undefined
    for (const one of among) if (largest === undefined || one[1] > largest[1]) largest = one
    return largest?.[0]
  }
}

function largestPart(
  answers: readonly [UnreadAnswer, Bytes][],
  nameOf: (answer: UnreadAnswer) => string,
): [UnreadAnswer, Bytes][] {
  const sums = new Map<string, Bytes>()
  let most = ''
  for (const [answer, bytes] of answers) {
    const name = nameOf(answer)
    const sum = (sums.get(name) ?? 0) + bytes
    sums.set(name, sum)
  }
  for (const [name, sum] of sums) if (sum > (sums.get(most) ?? -1)) most = name
  return answers.filter(([answer]) => nameOf(answer) === most)
}
