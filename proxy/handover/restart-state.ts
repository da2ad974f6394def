/** What comes from the proxy before this one, running or not, and what is kept for the next? */
import type { Clock } from '../../lib/clock.ts'
import { isAnswered } from '../../lib/http/serve.ts'
import type { Logger } from '../../lib/log.ts'
import { takeFromOrphans } from './orphans.ts'
import { formerSocketPath, orphanSocketPath } from './orphan-socket.ts'
import { ServiceStore, storedDescriptors, type Environment } from './service-sockets.ts'
import { takeOver, type Predecession } from './successor.ts'

/** How this proxy follows another, and what follows it. */
export interface RestartState {
  /** Listening sockets, from wherever. */
  readonly fds: readonly number[]
  /** Workers of a proxy that has ended go on until these are closed. */
  readonly lifelines: readonly number[]
  /** The proxy that still runs, when there is one. */
  readonly predecession: Predecession | undefined
  /** Workers of a proxy that has died serve until they are released. */
  readonly hasOrphans: boolean
  /** Keeps sockets while no proxy runs. */
  readonly store: ServiceStore | undefined
  /** Another proxy serves now; this one is to stop. */
  readonly onHandedOver: () => void
}

export interface RestartOptions {
  readonly config: {
    readonly handover: boolean
    readonly handover_socket: string
    readonly service_store: boolean
  }
  readonly adminSocket: string
  readonly environment: Environment
  readonly clock: Clock
  readonly logger: Logger
  readonly onHandedOver: () => void
}

/**
 * Takes what there is to take.
 * @throws Error when a proxy runs that is to be followed and does not hand over
 */
export async function openRestartState(options: RestartOptions): Promise<RestartState> {
  const { config, adminSocket, environment, clock, logger, onHandedOver } = options
  const notifySocket = environment['NOTIFY_SOCKET']
  if (config.service_store && notifySocket === undefined) {
    logger.warn({}, 'Sockets are not kept over a restart: no service manager started this process')
  }
  const store =
    config.service_store && notifySocket !== undefined
      ? new ServiceStore({ notifySocket, clock, logger })
      : undefined
  const predecession = config.handover ? await takeOver(config.handover_socket, logger) : undefined
  // Where a proxy answers operators its workers are no orphans.
  const isAlive = await isAnswered(adminSocket).catch(() => true)
  const path = orphanSocketPath(adminSocket)
  const orphans = isAlive
    ? undefined
    : ((await takeFromOrphans({ path, clock, logger })) ??
      (await takeFromOrphans({ path: formerSocketPath(path), clock, logger })))
  const { listeners, lifelines } = storedDescriptors(environment)
  const fds = [...listeners, ...(predecession?.fds ?? []), ...(orphans ?? [])]
  if (fds.length > 0) logger.info({ sockets: fds.length }, 'Inherited listening sockets')
  const hasOrphans = orphans !== undefined
  return { fds, lifelines, predecession, hasOrphans, store, onHandedOver }
}
