/**
 * How does a worker go on whose supervisor has died, and how do its sockets come to the next one? Whatever it knows of guests it knows
 * without the supervisor: a socket stays in the namespace it was made in, and leases are revoked by the agent itself.
 */
import { closeSync } from 'node:fs'
import type { Clock, Milliseconds } from '../../../lib/runtime/clock.ts'
import { descriptorsPerMessage, sendDescriptors } from '../../../lib/linux/descriptor-messages.ts'
import { callLibc, linux, receiveBytes, SystemCallError } from '../../../lib/linux/libc.ts'
import { credentialsOfDescriptor } from '../../../lib/linux/peer-credentials.ts'

/**
 * All that the next supervisor sends to a worker of a dead one, one byte on a connection. `take`: send me your listening sockets.
 * `release`: accept no more. The answer to both ends with the connection.
 */
export const takeoverWords = { take: 1, release: 2 } as const

export interface ServeAfterCrashOptions {
  readonly clock: Clock
  /** At most. */
  readonly limit: Milliseconds
  /**
   * Where the next supervisor connects: a listening SOCK_SEQPACKET socket that the supervisor made. Workers share it, and none of them accepts
   * there while the supervisor lives.
   */
  readonly socket: number
  /** Who may connect there, by number: the supervisor's user. */
  readonly owner: number
  /** The listening sockets of this moment. */
  readonly descriptors: () => readonly number[]
  /** Looked at now and then: a signal to end came. */
  readonly isToEnd: () => boolean
}

const pollPause: Milliseconds = 20
/** The next supervisor sends its order at once, and takes what it is sent at once. */
const talkLimit: Milliseconds = 2_000
const talkAgain: Milliseconds = 2

/**
 * Answers the next supervisor until it reports that it serves, or until the limit has passed.
 * @returns what is to be called when nothing is accepted here any more
 */
export async function serveAfterCrash(options: ServeAfterCrashOptions): Promise<() => void> {
  const { clock, limit, socket, owner, descriptors, isToEnd } = options
  const end = clock.now() + limit
  while (clock.now() < end && !isToEnd()) {
    const connection = accepted(socket)
    if (connection === undefined) {
      await clock.sleep(pollPause)
      continue
    }
    const word = isOf(owner, connection) ? await received(connection, clock) : undefined
    if (word === takeoverWords.release) {
      return () => {
        // In this order: when the other side sees the end, this process is none of those that listen there.
        closeSync(socket)
        closeSync(connection)
      }
    }
    if (word === takeoverWords.take) await give(connection, descriptors(), clock)
    closeSync(connection)
  }
  return () => closeSync(socket)
}

function accepted(socket: number): number | undefined {
  try {
    return callLibc('accept4', socket, 0, 0, linux.SOCK_CLOEXEC | linux.SOCK_NONBLOCK)
  } catch {
    return undefined
  }
}

function isOf(owner: number, connection: number): boolean {
  try {
    return credentialsOfDescriptor(connection).userId === owner
  } catch {
    return false
  }
}

async function received(connection: number, clock: Clock): Promise<number | undefined> {
  const byte = Buffer.alloc(1)
  const isReceived = await untilDone(clock, () => receiveBytes(connection, byte))
  return isReceived ? byte[0] : undefined
}

async function give(connection: number, fds: readonly number[], clock: Clock): Promise<void> {
  for (let sent = 0; sent < fds.length; sent += descriptorsPerMessage) {
    const batch = fds.slice(sent, sent + descriptorsPerMessage)
    if (!(await untilDone(clock, () => sendDescriptors(connection, batch)))) return
  }
}

/** ETOOMANYREFS: more descriptors are under way than an unprivileged user may have there. */
const notYet: ReadonlySet<string> = new Set(['EAGAIN', 'ETOOMANYREFS'])

/** @returns false when it cannot be done, or not in time */
async function untilDone(clock: Clock, talk: () => unknown): Promise<boolean> {
  const end = clock.now() + talkLimit
  for (;;) {
    try {
      talk()
      return true
    } catch (cause) {
      const isLater = cause instanceof SystemCallError && notYet.has(cause.errnoName)
      if (!isLater || clock.now() >= end) return false
      await clock.sleep(talkAgain)
    }
  }
}
