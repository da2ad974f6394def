/** Reads one file of ports in a thread of its own; made by `topology-reader.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { StaticFileError } from './problems.ts'
import { parseTopology } from './read-topology.ts'
import type { StaticTopology } from './topology.ts'

/** What the thread is given. */
export interface TopologyTask {
  readonly text: string
  readonly file: string
}

/** Its one message. */
export type TopologyOutcome =
  { readonly topology: StaticTopology } | { readonly problems: readonly string[] }

function outcomeOf({ text, file }: TopologyTask): TopologyOutcome {
  try {
    return { topology: parseTopology(text, file) }
  } catch (cause) {
    if (cause instanceof StaticFileError) return { problems: cause.problems }
    throw cause
  }
}

parentPort?.postMessage(outcomeOf(workerData as TopologyTask))
