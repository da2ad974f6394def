/** How is a large file of ports read while requests go on being answered? In a thread, whose memory is gone with it. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Count } from '../../../lib/runtime/clock.ts'
import { StaticFileError } from './problems.ts'
import { isJson, parseTopology } from './read-topology.ts'
import type { TopologyOutcome, TopologyTask } from './topology-thread.ts'
import type { StaticTopology } from './topology.ts'

/**
 * Characters that are read in some twenty milliseconds. A thread takes ten times as much of the processor to begin, and on a busy host
 * guests would be given what an earlier version of the file has for as long.
 */
const mostAtOnce: { readonly json: Count; readonly yaml: Count } = { json: 131_072, yaml: 32_768 }

/** The same file beside this one, built or not. */
const threadScript = new URL(`topology-thread${extname(import.meta.filename)}`, import.meta.url)

/**
 * Reads the text of a file of ports.
 * @throws {StaticFileError} when it cannot be used; the signal's reason
 */
export async function readTopology(
  task: TopologyTask,
  signal: AbortSignal,
): Promise<StaticTopology> {
  const most = isJson(task.text) ? mostAtOnce.json : mostAtOnce.yaml
  if (task.text.length <= most) return parseTopology(task.text, task.file)
  const outcome = await readInThread(task, signal)
  if ('problems' in outcome) throw new StaticFileError(task.file, outcome.problems)
  return outcome.topology
}

async function readInThread(task: TopologyTask, signal: AbortSignal): Promise<TopologyOutcome> {
  signal.throwIfAborted()
  const thread = new Worker(threadScript, { workerData: task })
  const leave = (): void => void thread.terminate()
  signal.addEventListener('abort', leave)
  try {
    return await new Promise<TopologyOutcome>((resolve, reject) => {
      thread.once('message', resolve)
      thread.once('error', reject)
      thread.once('exit', (code) => {
        reject(signal.aborted ? signal.reason : new Error(`Reading the file ended with ${code}`))
      })
    })
  } finally {
    signal.removeEventListener('abort', leave)
    await thread.terminate()
  }
}
