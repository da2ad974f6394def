/** What do doctor's checks look at? It is fetched once. */
import type { AdminAddress } from '../http/admin-client.ts'
import { AdminUnreachableError, requestAdminJson } from '../http/admin-client.ts'
import { isMapping } from '../runtime/mapping.ts'
import type { Daemon } from '../config/defaults.ts'
import { processFacts, type ProcessFacts } from '../host/process-facts.ts'
import type { EpochMilliseconds } from '../runtime/clock.ts'
import { fetchHealth, type DaemonHealth } from './health-command.ts'
import { checkDaemon, type DaemonCheck } from './daemon-check.ts'

/** One daemon, as far as it can be seen. */
export interface DaemonFacts {
  readonly daemon: Daemon
  readonly address: AdminAddress
  readonly health: DaemonHealth
  /** The body of `/status`; empty when the daemon cannot be queried. */
  readonly status: Readonly<Record<string, unknown>>
  /** Its process, when it runs on this host. */
  readonly process: ProcessFacts | undefined
  /** What `check` prints; absent where that cannot be run. */
  readonly check: DaemonCheck | undefined
}

/** What checks may look at. */
export interface HostFacts {
  readonly daemons: readonly DaemonFacts[]
  readonly configFiles: readonly string[]
  readonly netnsFolder: string
  /** @default that of the proxy, or this process */
  readonly mountTable?: string
  /** @default where distributions put libraries */
  readonly libraryFolders?: readonly string[]
  readonly wallTime: EpochMilliseconds
  /** Of the kernel: `6.1.0-25-amd64`. */
  readonly kernel: string
}

/** Queries one daemon for everything. */
export async function daemonFacts(
  daemon: Daemon,
  address: AdminAddress,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<DaemonFacts> {
  const health = await fetchHealth(daemon, address)
  const status = health.reachable ? await fetchStatus(address) : {}
  const { pid } = status
  const process = typeof pid === 'number' ? processFacts(pid) : undefined
  const check = await checkDaemon(daemon, process, environment)
  return { daemon, address, health, status, process, check }
}

/** The body of `/status`; empty when the daemon cannot be queried. */
export async function fetchStatus(
  address: AdminAddress,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    const { value } = await requestAdminJson(address, '/status')
    return isMapping(value) ? value : {}
  } catch (thrown) {
    if (thrown instanceof AdminUnreachableError) return {}
    throw thrown
  }
}
