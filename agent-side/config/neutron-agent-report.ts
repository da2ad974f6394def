import { packageVersion } from '../../lib/runtime/package-version.ts'
import { computeAddress } from '../../lib/config/defaults.ts'
import type { AgentConfig } from './config.ts'

/** What `openstack network agent show` prints as the configuration of the agent. */
export interface ReportedConfigurations {
  /** The first socket that proxies of this host connect to; empty when there is none. */
  readonly metadata_proxy_socket: string
  /** Of the preferred endpoint. */
  readonly nova_metadata_host: string
  readonly nova_metadata_port: number
  readonly log_agent_heartbeats: false
  /** Distinguishes it from Neutron's own agent, which has the same type and name. */
  readonly overlapd_version: string
}

/**
 * What the agent reports to Neutron about itself, in the words of Neutron's own agent, for the tools that read them.
 * @see neutron/agent/metadata/agent.py, `agent_state`
 */
export function reportedConfigurations({
  listeners,
  compute,
}: Pick<AgentConfig, 'listeners' | 'compute'>): ReportedConfigurations {
  const { protocol, hostname, port } = new URL(compute.upstreams[0] ?? `http://${computeAddress}`)
  const usualPort = protocol === 'https:' ? 443 : 80
  return {
    metadata_proxy_socket: listeners.find(({ tcp }) => tcp === undefined)?.socket ?? '',
    nova_metadata_host: hostname.replace(/^\[(.*)\]$/, '$1'),
    nova_metadata_port: port === '' ? usualPort : Number(port),
    log_agent_heartbeats: false,
    overlapd_version: packageVersion(),
  }
}
