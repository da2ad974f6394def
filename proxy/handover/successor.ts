/** How does a new proxy take everything over from the one that runs? */
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { Milliseconds } from '../../lib/clock.ts'
import { causeText } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { HandedSockets } from '../adopt/handed-sockets.ts'
import { peerOf } from '../netns/peer.ts'
import { LineChannel } from './line-channel.ts'

const answerLimit: Milliseconds = 10_000
/** The old one closes its sockets for operators; an answer may still be under way there. */
const releaseLimit: Milliseconds = 15_000

/** A proxy that goes on serving until {@link Predecession.finish}. */
export interface Predecession {
  readonly pid: number
  /** Listening sockets, not yet asked what they are. They are the caller's. */
  readonly fds: readonly number[]
  /** We serve: the other one is to stop. Resolves when its sockets for operators are free. */
  finish(): Promise<void>
  /** We do not: the other one goes on as before. */
  abandon(): void
}

/**
 * Asks the running proxy for its listening sockets.
 * @param path of its hand-over socket
 * @returns `undefined` when no proxy is there
 * @throws Error when there is one that does not hand over
 */
export async function takeOver(path: string, logger: Logger): Promise<Predecession | undefined> {
  const socket = await connected(path)
  if (socket === undefined) return undefined
  const channel = new LineChannel(socket)
  const peer = peerOf(socket)
  if (peer?.userId !== 0) {
    channel.close()
    throw new Error(`Cannot take over: who listens on "${path}" is not root`)
  }
  const inbox = `${path}.${process.pid}`
  const handed = new HandedSockets(inbox)
  const fds: number[] = []
  try {
    handed.start()
    channel.say({ kind: 'take', inbox })
    for (;;) {
      const message = await channel.next(['handed', 'all'], answerLimit)
      if (message.kind === 'all') break
      const batch = handed.take(peer.pid)
      fds.push(...batch)
      if (batch.length !== message.count) {
        // The rest is opened anew once the old one is gone.
        const lost = message.count - batch.length
        logger.warn({ lost }, 'Sockets did not arrive: raise the limit of open files (LimitNOFILE)')
      }
      channel.say({ kind: 'taken' })
    }
  } catch (cause) {
    for (const fd of fds) closeSync(fd)
    channel.close()
    throw new Error(`Cannot take over from process ${peer.pid}: ${causeText(cause)}`, { cause })
  } finally {
    handed.close()
  }
  return {
    pid: peer.pid,
    fds,
    async finish() {
      channel.say({ kind: 'go' })
      try {
        await channel.next(['gone'], releaseLimit)
      } catch (cause) {
        logger.warn({ pid: peer.pid, cause: causeText(cause) }, 'The old proxy did not say goodbye')
      }
      channel.close()
    },
    abandon: () => channel.close(),
  }
}

async function connected(path: string): Promise<Socket | undefined> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return socket
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined
    throw cause
  }
}
