import { connect, type Socket } from 'node:net'
import type { Clock, Milliseconds } from '../../lib/clock.ts'
import { MetadataError } from '../../lib/errors.ts'
import { tolerateBareLineFeeds } from './bare-line-feeds.ts'

type Connected = (...outcome: [error: null, socket: Socket] | [error: Error, socket: null]) => void
type ConnectFailure = NodeJS.ErrnoException

/** Not there yet, not listening yet, or its queue of connections full: what a restart or a boot storm looks like. */
const passing: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ECONNREFUSED', 'EAGAIN'])

const firstWait: Milliseconds = 5
const longestWait: Milliseconds = 100

export interface ConnectorOptions {
  /** Path of the agent's UNIX stream socket. */
  readonly socket: string
  /** After which an agent that is not there is given up. */
  readonly limit: Milliseconds
  readonly clock: Clock
}

/**
 * Makes the function that opens connections to the agent. It tries again, with growing waits and jitter, until the limit:
 * a request that waits a moment for a restarting agent beats a guest that gives up its boot.
 * The callback gets `MetadataError` `agent_unreachable` when the limit has passed, at once for anything but an absent agent.
 */
export function agentConnector(
  options: ConnectorOptions,
): (unused: unknown, connected: Connected) => void {
  const { clock, limit } = options
  return (_unused, connected) => {
    const deadline = clock.now() + limit
    attempt(firstWait)

    function attempt(wait: Milliseconds): void {
      const socket = connect({ path: options.socket })
      const giveUp = clock.schedule(Math.max(1, deadline - clock.now()), () => {
        socket.destroy(new Error('no connection in time'))
      })
      socket.once('connect', () => {
        giveUp()
        socket.removeListener('error', failed)
        tolerateBareLineFeeds(socket)
        connected(null, socket)
      })
      socket.once('error', failed)

      function failed(cause: ConnectFailure): void {
        giveUp()
        const pause = wait * (0.5 + Math.random() / 2)
        if (!passing.has(cause.code) || clock.now() + pause >= deadline) {
          connected(unreachable(cause), null)
          return
        }
        clock.schedule(pause, () => attempt(Math.min(wait * 2, longestWait)))
      }
    }
  }

  function unreachable(cause: Error): MetadataError {
    return new MetadataError('agent_unreachable', `Cannot connect to "${options.socket}"`, {
      cause,
    })
  }
}
