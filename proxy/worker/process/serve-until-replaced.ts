/** How long does a worker go on whose supervisor is gone? */
import { closeSync } from 'node:fs'
import type { Clock, Milliseconds } from '../../../lib/runtime/clock.ts'
import type { DescriptorBatch } from '../../linux/descriptor-queue.ts'

export interface ServeUntilReplacedOptions {
  readonly clock: Clock
  readonly limit: Milliseconds
  /** Takes what the descriptor channel holds, as {@link DescriptorQueue} does. */
  readonly receive: () => DescriptorBatch
}

const pollPause: Milliseconds = 50

/** Resolves when no process holds the other end of the descriptor channel any more, or when the limit has passed. */
export async function serveUntilReplaced({
  clock,
  limit,
  receive,
}: ServeUntilReplacedOptions): Promise<void> {
  const begin = clock.now()
  while (clock.now() - begin < limit && !isEnded(receive)) await clock.sleep(pollPause)
}

function isEnded(receive: () => DescriptorBatch): boolean {
  try {
    const { count, fds } = receive()
    // Sent before the end of the supervisor, without the word what they are.
    for (const fd of fds) closeSync(fd)
    return count === 0
  } catch {
    // Nothing is there, and a process could still send.
    return false
  }
}
