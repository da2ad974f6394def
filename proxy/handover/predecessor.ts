/** How does a running proxy give everything to the one that follows it? */
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Clock, Milliseconds } from '../../lib/clock.ts'
import { causeText } from '../../lib/errors.ts'
import { clearStaleSocket } from '../../lib/http/serve.ts'
import type { Logger } from '../../lib/log.ts'
import { handSockets } from '../adopt/handed-sockets.ts'
import { descriptorsPerMessage } from '../netns/libc.ts'
import { peerOf } from '../netns/peer.ts'
import { LineChannel } from './line-channel.ts'

export interface PredecessorOptions {
  readonly path: string
  readonly clock: Clock
  readonly logger: Logger
  /** All listening sockets of this moment. They stay open here. */
  readonly sockets: () => readonly number[]
  /** The successor serves: frees what both cannot have. The end follows by itself. */
  readonly release: () => Promise<void>
  /** Everything is released and told; this process is to stop. */
  readonly onGone: () => void
}

const answerLimit: Milliseconds = 10_000
/** From having the sockets to serving: a new proxy starts its workers in this time, on a busy host too. */
const servingLimit: Milliseconds = 120_000

/**
 * Waits for a successor. Until the successor says that it serves, nothing changes here: when it fails, this proxy goes on as if
 * nobody had asked.
 */
export class Predecessor {
  readonly #options: PredecessorOptions
  #server: Server | undefined
  #isBusy = false

  constructor(options: PredecessorOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { path } = this.#options
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
    await clearStaleSocket(path)
    const server = createServer((socket) => this.#receive(socket))
    // Whoever may connect gets every listener of the host, so the socket never exists with wider permissions.
    const umask = process.umask(0o177)
    try {
      server.listen(path)
    } finally {
      process.umask(umask)
    }
    await once(server, 'listening')
    this.#server = server
  }

  /** Listens no more; a hand-over under way goes on. May be called twice. */
  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    // Connections are not waited for: the one of a hand-over ends with this process.
    server?.close()
    await Promise.resolve()
  }

  #receive(socket: Socket): void {
    const { logger } = this.#options
    const channel = new LineChannel(socket)
    const peer = peerOf(socket)
    if (peer?.userId !== 0) {
      logger.warn({ peer }, 'Refused to hand over to somebody who is not root')
      channel.close()
      return
    }
    if (this.#isBusy) {
      channel.close()
      return
    }
    this.#isBusy = true
    this.#handOver(channel, peer.pid)
      .catch((cause: unknown) => {
        logger.warn({ cause: causeText(cause), pid: peer.pid }, 'Hand-over failed, going on')
      })
      .finally(() => {
        this.#isBusy = false
        channel.close()
      })
  }

  async #handOver(channel: LineChannel, successor: number): Promise<void> {
    const { sockets, release, onGone, logger } = this.#options
    const { inbox } = await channel.next(['take'], answerLimit)
    const fds = sockets()
    for (let sent = 0; sent < fds.length; sent += descriptorsPerMessage) {
      const batch = fds.slice(sent, sent + descriptorsPerMessage)
      const done = handSockets(inbox, batch)
      try {
        channel.say({ kind: 'handed', count: batch.length })
        await channel.next(['taken'], answerLimit)
      } finally {
        done()
      }
    }
    channel.say({ kind: 'all' })
    await channel.next(['go'], servingLimit)
    logger.info({ successor, sockets: fds.length }, 'Handed over to another proxy')
    try {
      await release()
    } finally {
      channel.say({ kind: 'gone' })
      onGone()
    }
  }
}
