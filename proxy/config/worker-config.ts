/** Which part of the configuration does each worker get? */
import { randomBytes } from 'node:crypto'
import type { AgentAddress, WorkerConfig } from '../worker/shared/protocol.ts'
import type { ProxyConfig } from './config.ts'

/** 256 random bits: too long to guess. */
const canaryTokenBytes = 32

/** The same in the words of the workers, with a token for the canary that only they know. */
export function workerConfig(
  { agent, canary, forwarding, leases, limits, log }: ProxyConfig,
  addresses: readonly AgentAddress[],
): WorkerConfig {
  return {
    logLevel: log.level,
    backlog: limits.backlog,
    agent: {
      addresses,
      connections: agent.connections,
      timeoutConnect: agent.timeout_connect,
      timeoutHeaders: agent.timeout_headers,
      timeoutBody: agent.timeout_body,
      checksHealth: canary.check_agent,
    },
    ...(canary.enabled && {
      canary: {
        target: `/canary/${randomBytes(canaryTokenBytes).toString('hex')}`,
        timeout: canary.timeout_answer,
        checksAgent: canary.check_agent,
      },
    }),
    ...(forwarding !== 'agent' && {
      forwarding: {
        leaseSocket: leases.socket,
        leases: leases.per_worker,
        connections: leases.connections,
        timeoutConnect: leases.timeout_connect,
      },
    }),
    limits: {
      headBytes: limits.head_bytes,
      bodyBytes: limits.body_bytes,
      timeoutHead: limits.timeout_head,
      timeoutRequest: limits.timeout_request,
      timeoutKeepAlive: limits.timeout_keep_alive,
      connectionsPerSource: limits.connections_per_source,
      connectionsPerNamespace: limits.connections_per_namespace,
      requestsPerConnection: limits.requests_per_connection,
    },
  }
}
