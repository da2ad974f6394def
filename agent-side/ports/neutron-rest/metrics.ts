import type { Registry } from '../../../lib/observe/metrics.ts'
import { DirectoryMetrics } from '../directory/metrics.ts'

/** What a request to Keystone or Neutron was for. */
export type QueryKind =
  | 'token'
  | 'router_interfaces'
  | 'network_ports'
  | 'network_tags'
  | 'ports_by_address'
  | 'ports_by_mac'

/** The metrics of the `neutron-rest` directory. Retries and further pages count as queries: Neutron serves each of them. */
export class NeutronRestMetrics extends DirectoryMetrics<QueryKind> {
  constructor(registry: Registry) {
    super('neutron-rest', registry)
  }
}
