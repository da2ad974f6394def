/** How does a new proxy take everything over from workers whose supervisor has died? */
import { lstatSync, unlinkSync } from 'node:fs'
import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { openFiles } from '../../lib/host/process-facts.ts'
import { descriptorsPerMessage, receiveDescriptors } from '../../lib/linux/descriptor-messages.ts'
import { linux, sendBytes, isErrno } from '../../lib/linux/libc.ts'
import { closeConversation, dropDescriptors } from '../netns/close-received.ts'
import { credentialsOfDescriptor } from '../../lib/linux/peer-credentials.ts'
import { connectUnix } from '../linux/unix-socket.ts'
import { takeoverWords } from '../worker/process/serve-after-crash.ts'

/** Where workers that were left listen for the next supervisor. */
export interface LeftWorkersSocket {
  /** @see takeoverSocketPath */
  readonly path: string
  readonly clock: Clock
  readonly logger: Logger
}

const takeLimit: Milliseconds = 3_000
const releaseLimit: Milliseconds = 5_000
const pollPause: Milliseconds = 5
/** No worker has so many; one that was broken into may send without end. */
const mostSockets: Count = 65_536
/** What this process opens besides. What it could not hold the kernel would close in its name, however long that takes. */
const otherDescriptors: Count = 2_048

function mostTaken(): Count {
  const { limit = Infinity } = openFiles('self') ?? {}
  const free = limit - otherDescriptors
  return Math.max(0, Math.min(mostSockets, free))
}

/**
 * Takes the sockets once, from whichever worker answers first: all hold the same. Nothing that comes this way is trusted: workers read
 * what guests write, and one of them may belong to a guest by now. What it can do is not to answer; that costs some seconds.
 * @returns their listening sockets as they claim them, not yet inspected, for the caller to close. They go on serving
 * until {@link releaseLeftWorkers}. `undefined` when there are no such workers
 */
export async function takeFromLeftWorkers(
  options: LeftWorkersSocket,
): Promise<readonly number[] | undefined> {
  const { path, logger } = options
  const connection = connected(path)
  if (typeof connection !== 'number') {
    if (connection === 'later')
      logger.warn({ path }, 'Workers of the supervisor before do not answer')
    return undefined
  }
  // Nothing else may keep this process alive yet, and the clock does not.
  const alive = setInterval(() => undefined, takeLimit)
  try {
    const { userId, pid } = credentialsOfDescriptor(connection)
    if (userId !== process.geteuid?.()) {
      logger.warn({ path, userId }, 'Took no sockets from a process of another user')
      return undefined
    }
    sendBytes(connection, Buffer.of(takeoverWords.take))
    const fds = await received(connection, options)
    logger.info({ pid, sockets: fds.length }, 'The supervisor before left its workers serving')
    return fds
  } catch (cause) {
    logger.warn({ path, cause: causeText(cause) }, 'Cannot reach workers of the supervisor before')
    return undefined
  } finally {
    clearInterval(alive)
    closeConversation(connection)
  }
}

async function received(
  connection: number,
  { clock, logger }: LeftWorkersSocket,
): Promise<readonly number[]> {
  const end = clock.now() + takeLimit
  const fds: number[] = []
  const most = mostTaken() - descriptorsPerMessage
  while (clock.now() < end && fds.length <= most) {
    const batch = await next(connection, end, clock)
    if (batch === undefined) return fds
    fds.push(...batch.fds)
    if (batch.fds.length < batch.count) {
      const lost = batch.count - batch.fds.length
      logger.warn({ lost }, 'Sockets did not arrive: raise the limit of open files (LimitNOFILE)')
      return fds
    }
  }
  logger.warn(
    { sockets: fds.length },
    'Workers of the supervisor before sent sockets without an end',
  )
  return fds
}

/** @returns `undefined` when that was all */
async function next(
  connection: number,
  end: MonotonicMilliseconds,
  clock: Clock,
): Promise<{ readonly count: Count; readonly fds: readonly number[] } | undefined> {
  while (clock.now() < end) {
    try {
      const batch = receiveDescriptors(connection)
      return batch.fds.length === 0 && batch.count === 0 ? undefined : batch
    } catch (cause) {
      if (!isErrno(cause, 'EAGAIN')) return undefined
      await clock.sleep(pollPause)
    }
  }
  return { count: 0, fds: [] }
}

/**
 * We serve: lets each of them accept no more. Each closes its end then, so none is left when no process listens. Resolves when that is so, or
 * logs that it is not. Where there are none, what they left is removed.
 * @returns false when one does not obey
 */
export async function releaseLeftWorkers({
  path,
  clock,
  logger,
}: LeftWorkersSocket): Promise<boolean> {
  const end = clock.now() + releaseLimit
  let hasTried = false
  while (clock.now() < end) {
    const connection = connected(path)
    if (connection === undefined) {
      if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path)
      if (hasTried) logger.info({}, 'Took over from workers of the supervisor before')
      return true
    }
    hasTried = true
    if (connection !== 'later') {
      try {
        sendBytes(connection, Buffer.of(takeoverWords.release))
        await closed(connection, end, clock)
      } catch {
        // It ended meanwhile.
      } finally {
        closeConversation(connection)
      }
    }
    await clock.sleep(pollPause)
  }
  logger.error({}, 'Workers of the supervisor before do not stop: they are going to be killed')
  return false
}

async function closed(connection: number, end: MonotonicMilliseconds, clock: Clock): Promise<void> {
  while (clock.now() < end) {
    try {
      if (!dropDescriptors(connection)) return
    } catch (cause) {
      if (!isErrno(cause, 'EAGAIN')) return
    }
    await clock.sleep(pollPause)
  }
}

/** Whether workers of a dead supervisor wait there. One of them accepts a connection that ends without a byte. */
export function isListenedAt(path: string): boolean {
  const connection = connected(path)
  if (typeof connection === 'number') closeConversation(connection)
  return connection !== undefined
}

/** @returns `undefined` where no process listens, `later` where too many wait */
function connected(path: string): number | 'later' | undefined {
  try {
    return connectUnix(path, linux.SOCK_SEQPACKET | linux.SOCK_NONBLOCK)
  } catch (cause) {
    return isErrno(cause, 'EAGAIN') ? 'later' : undefined
  }
}
