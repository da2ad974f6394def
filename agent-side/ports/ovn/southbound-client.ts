import { OvsdbClient } from '../../../lib/ovsdb/client.ts'
import type { OvsdbClientOptions } from '../../../lib/ovsdb/client-options.ts'
import { ovsdbLimits } from '../../../lib/ovsdb/options.ts'
import type { DirectoryParts } from '../directory/directory-parts.ts'
import type { OvnConfig } from './config.ts'

/** What the directory works with, beside its configuration. */
export interface OvnParts extends DirectoryParts {
  /** From 0 to below 1. @default Math.random */
  readonly random?: () => number
  /** Stands for the network, in tests. */
  readonly connect?: OvsdbClientOptions['connect']
}

/** The client of the configured servers, without a monitor. */
export function southboundClient(
  config: OvnConfig,
  { clock, logger, connect, random = Math.random }: OvnParts,
): OvsdbClient {
  return new OvsdbClient({
    endpoints: config.ovn_sb_connection,
    tls: {
      privateKey: config.ovn_sb_private_key,
      certificate: config.ovn_sb_certificate,
      caCertificate: config.ovn_sb_ca_cert,
      verifyHost: config.verify_server_name,
    },
    database: 'OVN_Southbound',
    leaderOnly: config.leader_only,
    clock,
    logger,
    random,
    limits: ovsdbLimits(config),
    ...(connect && { connect }),
  })
}
