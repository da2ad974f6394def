import type { Test } from 'tap'
import { StaticDirectory } from '../../agent-side/ports/static/directory.ts'
import { systemClock as clock } from '../../lib/runtime/clock.ts'
import { createRegistry } from '../../lib/observe/metrics.ts'
import { createLogger } from '../../lib/runtime/log.ts'
import type { Topology } from '../conformance/topology.ts'
import { novaLike, RecordingUpstream } from './recording-upstream.ts'
import { startAgent, type Fields } from './start-agent.ts'
import { makeWatchedFile, staticFileText } from './static-file.ts'

/**
 * Asks an agent that reads a file of ports, and says in one word what came of it: the instance id that compute was asked
 * about, or the reason of the refusal.
 */
export type AskAgent = (fields: Fields, listener?: 'overlapd' | 'ml2') => Promise<string>

/** @param config sections of the agent's configuration, such as `{ source_mac: 'verify' }` */
export async function startAgentWithFile(
  t: Test,
  topology: Topology,
  config: Readonly<Record<string, unknown>>,
): Promise<AskAgent> {
  const file = await makeWatchedFile()
  await file.replace(staticFileText(topology))
  const destination = { write: (): void => undefined }
  const logger = createLogger({ component: 'test', level: 'error', destination })
  const directory = new StaticDirectory(
    { file: file.file, poll_interval: 10_000 },
    { clock, logger, registry: createRegistry() },
  )
  await directory.start()
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(async () => {
    await directory.close()
    await upstream.close()
    await file.remove()
  })
  const agent = await startAgent(t, { clock, directory, upstreams: [upstream.url], config })
  return async (fields, listener = 'overlapd') => {
    const answer = await agent.ask('/latest/meta-data/instance-id', fields, { listener })
    return answer?.status === 200
      ? answer.body.toString()
      : String(answer?.field('x-overlapd-reason'))
  }
}
