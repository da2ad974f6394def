/** How is a process without privileges started, listened to and ended, whatever it sends? For workers and the planner. */
import type { Bytes, Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { closeSync } from 'node:fs'
import { causeText } from '../../lib/runtime/errors.ts'
import { JsonLineChannel, type ChannelBreach } from '../../lib/wire/json-line-channel.ts'
import { sendDescriptors } from '../../lib/linux/descriptor-messages.ts'
import {
  startUnprivileged,
  whyNotTrusted,
  type StartedProgram,
  type UnprivilegedProgram,
} from '../privileges/start-unprivileged.ts'

export interface SupervisedChildOptions<Message> {
  readonly program: UnprivilegedProgram
  readonly clock: Clock
  /** Of a line that it sends. */
  readonly longestLine: Bytes
  /** @returns `undefined` for what none of our programs sends: the process is killed then */
  readonly read: (value: unknown) => Message | undefined
  readonly onMessage: (message: Message) => void
  /** It did what none of our programs does, and is killed. */
  readonly onBreach: (breach: ChannelBreach) => void
  /** It must not be used, and is killed. */
  readonly onUnusable: (why: string) => void
  /** Called once. */
  readonly onGone: (why: string) => void
}

/** From the start of the program to `ready`. */
const readyLimit: Milliseconds = 20_000
/** From the end of its channel to its exit. */
const exitLimit: Milliseconds = 2_000

/** One process, from its start to its end. */
export class SupervisedChild<Message> {
  readonly #options: SupervisedChildOptions<Message>
  readonly #started: StartedProgram
  readonly #channel: JsonLineChannel
  readonly #cancelReadyLimit: () => void
  #isGone = false

  /** @throws NodeJS.ErrnoException when the process cannot be started */
  constructor(options: SupervisedChildOptions<Message>) {
    const { program, clock, longestLine } = options
    this.#options = options
    this.#started = startUnprivileged(program)
    const { child, input, output } = this.#started
    this.#cancelReadyLimit = clock.schedule(readyLimit, () => this.fail('was not ready in time'))
    this.#channel = new JsonLineChannel({
      input,
      output,
      longestLine,
      clock,
      onValue: (value) => this.#receive(value),
      onEnd: (breach) => {
        if (breach !== undefined) this.#breach(breach)
        // Its end is noticed by its exit. One that has only closed the channel is of no use.
        else clock.schedule(exitLimit, () => this.kill())
      },
    })
    child.on('error', (cause) => this.#end(causeText(cause)))
    child.on('exit', (code, signal) => this.#end(`ended with ${String(code ?? signal)}`))
  }

  /** 0 when the process could not be started. */
  get pid(): number {
    return this.#started.child.pid ?? 0
  }

  /** Our end of the channel for descriptors; valid until {@link SupervisedChildOptions.onGone} has returned. */
  get descriptorChannel(): number {
    return this.#started.channel
  }

  send(message: unknown): void {
    this.#channel.send(message)
  }

  /** @throws {SystemCallError} EAGAIN while it is behind, EPIPE when it is gone */
  sendDescriptors(fds: readonly number[]): void {
    sendDescriptors(this.#started.channel, fds)
  }

  /** It reports that it is ready. @returns false, and kills it, when it has kept a privilege */
  isTrustworthy(): boolean {
    this.#cancelReadyLimit()
    const why = whyNotTrusted(this.pid, this.#options.program.account)
    if (why !== undefined) this.fail(why)
    return why === undefined
  }

  /** Lets it go on by itself; this process does not wait for its end. */
  leave(): void {
    this.#cancelReadyLimit()
    this.#channel.close()
    this.#started.child.unref()
  }

  fail(why: string): void {
    if (this.#isGone) return
    this.#options.onUnusable(why)
    this.kill()
  }

  kill(): void {
    if (!this.#isGone) this.#started.child.kill('SIGKILL')
  }

  #receive(value: unknown): void {
    const message = this.#options.read(value)
    if (message === undefined) this.#breach('nonsense')
    else this.#options.onMessage(message)
  }

  #breach(breach: ChannelBreach): void {
    if (this.#isGone) return
    this.#channel.close()
    this.#options.onBreach(breach)
    this.kill()
  }

  #end(why: string): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#cancelReadyLimit()
    this.#channel.close()
    this.#options.onGone(why)
    closeSync(this.#started.channel)
  }
}
