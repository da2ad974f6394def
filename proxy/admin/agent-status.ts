/** How do the workers find the agents? */
import type { Count } from '../../lib/runtime/clock.ts'
import { agentPlaceText } from '../config/agent-places.ts'
import type { ProxyConfig } from '../config/config.ts'
import type { WorkerStatus } from '../supervisor/worker-pool.ts'

/** One agent on `/status`, as the workers find it. */
export interface AgentStatus {
  /** A path, or `https://192.0.2.1:9699`. */
  readonly agent: string
  /** Workers that reach it, or have not needed it yet. */
  readonly up: Count
  readonly down: Count
  /** Workers whose latest answer came from it. */
  readonly answering: Count
  readonly lastFailure?: string
}

/** The agents in order of preference. */
export function agentStatuses(
  config: Pick<ProxyConfig, 'agents'>,
  workers: readonly WorkerStatus[],
): readonly AgentStatus[] {
  return config.agents.map((place) => agentStatus(agentPlaceText(place), workers))
}

function agentStatus(agent: string, workers: readonly WorkerStatus[]): AgentStatus {
  const reports = workers.flatMap(({ agents }) => agents.filter((one) => one.agent === agent))
  const down = reports.filter(({ state }) => state === 'down').length
  const lastFailure = reports.find((report) => report.lastFailure !== undefined)?.lastFailure
  return {
    agent,
    up: workers.length - down,
    down,
    answering: reports.filter(({ isAnswering }) => isAnswering).length,
    ...(lastFailure !== undefined && { lastFailure }),
  }
}
