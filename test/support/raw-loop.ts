import type { Test } from 'tap'
import { RawLoop } from '../../proxy/worker/raw/raw-loop.ts'

/** A loop of raw sockets for the time of a test. */
export function loopOf(t: Test): RawLoop {
  const loop = new RawLoop()
  t.teardown(() => loop.close())
  return loop
}
