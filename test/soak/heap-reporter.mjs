/** Preloaded into the programs under test: writes, on SIGWINCH, how much of the heap is in use after everything that can be collected is. */
import { openSync, writeSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')
// Opened while this process may still open it.
const file = openSync(process.env.OVERLAPD_TEST_HEAP, 'a')

process.on('SIGWINCH', () => {
  collect()
  const { heapUsed, external, heapTotal, rss } = process.memoryUsage()
  writeSync(file, `${JSON.stringify([process.pid, heapUsed, external, rss - heapTotal])}\n`)
})
