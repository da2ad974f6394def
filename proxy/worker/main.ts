/** The worker process: no capabilities, no secret, nothing but the descriptors its opener hands it. */
import { closeSync } from 'node:fs'
import { systemClock, type Milliseconds } from '../../lib/clock.ts'
import { causeText } from '../../lib/errors.ts'
import { createLogger, type Logger } from '../../lib/log.ts'
import { receiveDescriptors, savedSyn } from '../netns/libc.ts'
import { becomeAccount } from './become.ts'
import { DescriptorQueue, type DescriptorBatch } from './descriptor-queue.ts'
import { lingered } from './lingering.ts'
import { outlived, type OutlivingOptions } from './outliving.ts'
import { preload } from './preload.ts'
import { descriptorChannel, type FromWorker, type ToWorker } from './protocol.ts'
import { Worker } from './worker.ts'

/** How long answers may still take when the opener is gone and nobody can say. */
const orphanDrainLimit: Milliseconds = 10_000

type Outliving = Pick<OutlivingOptions, 'limit' | 'socket' | 'owner'>

function run(): void {
  let logger: Logger = createLogger({ component: 'worker', level: 'info' })
  let worker: Worker | undefined
  let lingerLimit: Milliseconds | undefined
  let outliving: Outliving | undefined
  let isDraining = false
  let isToEnd = false
  const receive = (): DescriptorBatch => receiveDescriptors(descriptorChannel)
  const descriptors = new DescriptorQueue(receive)

  // No byte of a guest may lead here. If one does, the opener replaces this process; its state is not to be trusted.
  const die = (cause: unknown): void => {
    logger.error(
      { cause: causeText(cause), stack: cause instanceof Error ? cause.stack : undefined },
      'Worker failed',
    )
    process.exit(1)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
  // The opener decides when workers stop, as long as there is one; a terminal sends its signals to the whole group.
  const mayEnd = (): void => {
    isToEnd = true
  }
  process.on('SIGINT', mayEnd)
  process.on('SIGTERM', mayEnd)

  process.on('message', (message: ToWorker) => {
    if (message.kind === 'configure') {
      logger = createLogger({ component: 'worker', level: message.config.logLevel })
      worker = new Worker({
        config: message.config,
        clock: systemClock,
        logger,
        savedSyn,
        nextDescriptor: () => descriptors.next(),
        tell,
      })
      tell({ kind: 'ready' })
      return
    }
    if (message.kind === 'linger') {
      lingerLimit = message.limit
      return
    }
    if (message.kind === 'outlive') {
      if (outliving !== undefined) closeSync(outliving.socket)
      const socket = message.limit > 0 ? descriptors.next() : undefined
      outliving = socket === undefined ? undefined : { ...message, socket }
      return
    }
    if (worker === undefined) throw new TypeError(`"${message.kind}" came before "configure"`)
    isDraining ||= message.kind === 'drain'
    const handled = worker.handle(message)
    if (message.kind === 'drain') handled.then(leave, die)
    else handled.catch(die)
  })
  process.on('disconnect', () => {
    if (worker === undefined) process.exit(0)
    const orphan = worker
    const finish = async (): Promise<void> => {
      let finishing: () => void = () => undefined
      if (outliving !== undefined && !isDraining) {
        logger.warn({}, 'The opener died, serving until another one does')
        finishing = await outlived({
          ...outliving,
          clock: systemClock,
          descriptors: () => orphan.descriptors(),
          isToEnd: () => isToEnd,
        })
      } else if (lingerLimit !== undefined) {
        logger.info({}, 'The opener is gone, serving until another one does')
        await lingered({ clock: systemClock, limit: lingerLimit, receive })
      }
      logger.warn({}, 'The opener is gone, finishing what is under way')
      const drained = orphan.handle({ kind: 'drain', limit: orphanDrainLimit })
      // Nothing is accepted from here on.
      finishing()
      await drained
    }
    finish().then(() => process.exit(0), die)
  })
  // Its end may have come before anybody listened for it.
  if (!process.connected) process.exit(0)
}

function tell(message: FromWorker): void {
  // Without an opener nobody listens; the disconnect is handled by itself.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}

/** Ends the process once the last message is out. */
function leave(): void {
  process.removeAllListeners('disconnect')
  process.on('disconnect', () => process.exit(0))
  if (process.connected) process.disconnect()
  else process.exit(0)
}

// Nothing of a guest is read, and no descriptor taken, by anybody but the account that serves guests.
await preload()
becomeAccount(process.argv.slice(2))
run()
