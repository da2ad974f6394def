/** How do the workers find the agents? */
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'
import { agentPlaceText } from '../config/agent-places.ts'
import type { ProxyConfig } from '../config/config.ts'
import type { WorkerStatus } from '../supervisor/worker-pool.ts'

/** One agent, as the workers find it. */
export type AgentStatus = ProxyStatus['agents'][number]

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
