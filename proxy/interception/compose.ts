/** How do the parts come together that redirect the metadata address in namespaces? */
import { startable, type Part } from '../../lib/runtime/lifecycle.ts'
import type { NftLibrary } from '../netlink/nftables.ts'
import type { ProxyMetrics } from '../admin/metrics.ts'
import type { Surroundings } from '../config/surroundings.ts'
import { Interception } from './interception.ts'
import { LeftoverTables } from './leftover-tables.ts'
import { RuleLoader } from './rule-loader.ts'
import { tableName } from './ruleset.ts'

/** The rules that are wanted, and what is left of a proxy before this one. */
export interface Rules {
  readonly interception: Interception
  readonly leftovers: LeftoverTables
  /** @param keepsRules whether rules outlive this process, looked up when it ends */
  readonly part: (keepsRules: () => boolean) => Part
}

/** Rules are checked less often than namespaces: each check takes a visit. */
const passesPerCheck = 2

/** Makes what loads rules. None is loaded before a namespace is served. */
export function composeRules(
  { config, clock, logger, window }: Surroundings,
  library: NftLibrary,
  metrics: ProxyMetrics,
): Rules {
  const loader = new RuleLoader({ window, library, table: tableName })
  const interception = new Interception({
    interface: config.intercept.interface,
    tcpPort: config.intercept.tcp_port,
    canary: config.canary.enabled,
    loader,
    checkEvery: config.poll_interval * passesPerCheck,
    clock,
    logger,
    onFailure: () => metrics.interceptionFailures.inc(),
  })
  const { tcp_port: tcpPort } = config.intercept
  const leftovers = new LeftoverTables({ window, loader, tcpPort, clock, logger })
  const part = (keepsRules: () => boolean): Part =>
    startable(
      'interception',
      () => interception.start(),
      async () => {
        leftovers.close()
        await interception.close(!keepsRules())
      },
    )
  return { interception, leftovers, part }
}
