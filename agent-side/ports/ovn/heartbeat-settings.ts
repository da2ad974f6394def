import type { Clock } from '../../../lib/runtime/clock.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import { ovsdbLimits } from '../../../lib/ovsdb/options.ts'
import type { AgentHeartbeatOptions } from './agent-heartbeat.ts'
import type { OvnConfig } from './config.ts'
import type { OvnMetrics } from './metrics.ts'

/** The options of the directory in the words of the heartbeat. */
export function heartbeatOptions(
  config: OvnConfig,
  surroundings: {
    readonly clock: Clock
    readonly logger: Logger
    readonly random: () => number
    readonly metrics: OvnMetrics
  },
): AgentHeartbeatOptions {
  return {
    ...surroundings,
    chassis: config.chassis,
    localEndpoint: config.ovsdb_connection,
    limits: ovsdbLimits(config),
    agentDownTime: config.agent_down_time,
  }
}
