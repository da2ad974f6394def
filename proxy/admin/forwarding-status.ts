/** Which way do requests go that a lease may cover: straight to Nova, or through the agent, and why? */
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'
import type { ProxyConfig } from '../config/config.ts'
import type { WorkerStatus } from '../supervisor/worker-pool.ts'
import type { ForwardingReport } from '../worker/shared/protocol.ts'

const whys: Readonly<Record<Extract<ForwardingReport, { way: 'agent' }>['why'], string>> = {
  configured: 'forwarding is agent',
  no_leases: 'the agent of this host grants no leases (leases.enabled of overlapd-agent)',
  none_granted: 'the agent has granted no lease yet',
  compute_unreached: 'the workers do not reach Nova',
}

/** Sums up what the workers report. */
export function forwardingStatus(
  { forwarding: mode }: Pick<ProxyConfig, 'forwarding'>,
  workers: readonly Pick<WorkerStatus, 'forwarding'>[],
): ProxyStatus['forwarding'] {
  const reports = workers.flatMap(({ forwarding }) => forwarding ?? [])
  const others = reports.filter((one) => one.way === 'agent')
  const texts = others.map(({ why, failure }) =>
    failure === undefined ? whys[why] : `${whys[why]}: ${failure}`,
  )
  return {
    mode,
    straight: reports.length - others.length,
    throughAgent: others.length,
    ...(texts.length > 0 && { why: [...new Set(texts)].join('; ') }),
  }
}
