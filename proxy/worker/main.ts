/** The worker process: no capabilities, no secret, nothing but the descriptors its supervisor hands it. */
import { closeSync } from 'node:fs'
import { systemClock, type Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { createLogger, type Logger } from '../../lib/runtime/log.ts'
import { ignoreDebuggerSignal } from '../../lib/runtime/no-debugger.ts'
import { IngressReader } from '../netns/ingress.ts'
import { receiveDescriptors } from '../../lib/linux/descriptor-messages.ts'
import { savedSyn } from '../../lib/linux/libc.ts'
import { dropRoot } from '../privileges/drop-root.ts'
import { DescriptorQueue, type DescriptorBatch } from '../linux/descriptor-queue.ts'
import { setHopLimit } from '../linux/hop-limit.ts'
import { ingressPortReader } from './guest/ingress-port.ts'
import { serveUntilReplaced } from './process/serve-until-replaced.ts'
import { serveAfterCrash } from './process/serve-after-crash.ts'
import { preload } from './process/preload.ts'
import type { FromWorker, ServeUntil, ToWorker } from './shared/protocol.ts'
import { childDescriptors, openSupervisorChannel } from './shared/supervisor-channel.ts'
import { Worker } from './worker.ts'

/** How long answers may still take when the supervisor is gone. */
const leftDrainLimit: Milliseconds = 10_000

interface Order extends ServeUntil {
  /** The takeover socket, where there is one. */
  readonly socket: number | undefined
}

const nothing = (): void => undefined

/** What this process was given, and how it ends. */
class WorkerProgram {
  #logger: Logger = createLogger({ component: 'worker', level: 'info' })
  #worker: Worker | undefined
  #order: Order | undefined
  #isDraining = false
  #isToEnd = false
  readonly #receive = (): DescriptorBatch => receiveDescriptors(childDescriptors.descriptors)
  readonly #descriptors = new DescriptorQueue(this.#receive)
  readonly #channel = openSupervisorChannel(
    (message) => this.#handle(message as ToWorker),
    () => {
      this.#serveAlone().then(() => process.exit(0), this.die)
    },
  )

  /** No byte of a guest may lead here. If one does, the supervisor replaces this process; its state is not to be trusted. */
  readonly die = (cause: unknown): void => {
    this.#logger.error(
      { cause: causeText(cause), stack: cause instanceof Error ? cause.stack : undefined },
      'Worker failed',
    )
    process.exit(1)
  }

  /** A signal to end came. The supervisor decides when workers stop, as long as there is one. */
  readonly mayEnd = (): void => {
    this.#isToEnd = true
  }

  #send(message: FromWorker): void {
    this.#channel.send(message)
  }

  #handle(message: ToWorker): void {
    if (message.kind === 'configure') {
      this.#logger = createLogger({ component: 'worker', level: message.config.logLevel })
      this.#worker = new Worker({
        config: message.config,
        clock: systemClock,
        logger: this.#logger,
        savedSyn,
        ingressPort: ingressPortReader(new IngressReader(), systemClock),
        setHopLimit,
        nextDescriptor: () => this.#descriptors.next(),
        send: (message) => this.#send(message),
      })
      this.#send({ kind: 'ready' })
      return
    }
    if (message.kind === 'serve-until') {
      this.#obey(message.order)
      return
    }
    if (this.#worker === undefined) throw new TypeError(`"${message.kind}" came before "configure"`)
    this.#isDraining ||= message.kind === 'drain'
    const handled = this.#worker.handle(message)
    if (message.kind === 'drain') handled.then(() => this.#leave(), this.die)
    else handled.catch(this.die)
  }

  #obey(order: ServeUntil): void {
    if (this.#order?.socket !== undefined) closeSync(this.#order.socket)
    const socket = order.takeover === undefined ? undefined : this.#descriptors.next()
    this.#order = { ...order, socket }
  }

  /** The supervisor is gone. Resolves when this process is to end. */
  async #serveAlone(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return
    const finishing = this.#isDraining ? nothing : await this.#untilReplaced(worker)
    this.#logger.info({}, 'Finishing what is under way')
    const drained = worker.handle({ kind: 'drain', limit: leftDrainLimit })
    // Nothing is accepted from here on.
    finishing()
    await drained
  }

  async #untilReplaced(worker: Worker): Promise<() => void> {
    const { deadline = 0, takeover, socket } = this.#order ?? {}
    if (deadline === 0) return nothing
    this.#logger.info({ deadline }, 'The supervisor is gone: serving until another one does')
    if (takeover === undefined) {
      await serveUntilReplaced({ clock: systemClock, limit: deadline, receive: this.#receive })
      return nothing
    }
    if (socket === undefined) return nothing
    return serveAfterCrash({
      clock: systemClock,
      limit: deadline,
      socket,
      owner: takeover.owner,
      descriptors: () => worker.descriptors(),
      isToEnd: () => this.#isToEnd,
    })
  }

  #leave(): void {
    this.#channel.flushed().then(() => process.exit(0), this.die)
  }
}

ignoreDebuggerSignal()
// Nothing of a guest is read, and no descriptor taken, by another account than the one that serves guests.
preload()
dropRoot(process.argv.slice(2))
const program = new WorkerProgram()
process.on('uncaughtException', program.die)
process.on('unhandledRejection', program.die)
// A terminal sends its signals to the whole group.
process.on('SIGINT', program.mayEnd)
process.on('SIGTERM', program.mayEnd)
