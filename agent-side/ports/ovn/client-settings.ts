import type { Clock } from '../../../lib/clock.ts'
import type { Logger } from '../../../lib/log.ts'
import type { OvsdbLimits } from '../../../lib/ovsdb/client.ts'
import type { AgentHeartbeatOptions } from './agent-heartbeat.ts'
import type { OvnConfig } from './config.ts'
import type { OvnMetrics } from './metrics.ts'

/** The first pause of a client that cannot connect; drawn between 0 and this. */
const retryFirst = 1_000
/** No answer but the first copy is large. */
const answerLimit = 30_000

/** The options of the directory in the words of the OVSDB client. */
export function clientLimits(config: OvnConfig): OvsdbLimits {
  return {
    connect: config.connect_timeout,
    copy: config.ovsdb_connection_timeout,
    answer: answerLimit,
    probeInterval: config.ovsdb_probe_interval,
    probeTimeout: Math.max(config.probe_timeout, 2 * config.ovsdb_probe_interval),
    retryFirst,
    retryLongest: config.ovsdb_retry_max_interval,
    messageBytes: config.max_message,
  }
}

/** The options of the directory in the words of the heartbeat. */
export function heartbeatOptions(
  config: OvnConfig,
  surroundings: {
    readonly clock: Clock
    readonly logger: Logger
    readonly random: () => number
    readonly metrics?: OvnMetrics
  },
): AgentHeartbeatOptions {
  return {
    ...surroundings,
    chassis: config.chassis,
    localEndpoint: config.ovsdb_connection,
    limits: clientLimits(config),
    agentDownTime: config.agent_down_time,
  }
}
