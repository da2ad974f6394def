/** What comes from the proxy before this one, and what is kept for the next? */
import type { Clock } from '../../lib/runtime/clock.ts'
import { isAnswered } from '../../lib/sockets/private-socket.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { takeFromLeftWorkers } from './takeover.ts'
import { formerSocketPath, takeoverSocketPath } from './takeover-socket.ts'
import { SystemdStore, storedDescriptors, type Environment } from './systemd-store.ts'

/** How this proxy follows another, and what follows it. */
export interface RestartState {
  /** Listening sockets, from wherever. */
  readonly fds: readonly number[]
  /** Workers of a proxy that has ended go on until these are closed. */
  readonly lifelines: readonly number[]
  /** Workers of a proxy that has died serve until they are released. */
  readonly hasLeftWorkers: boolean
  /** Keeps sockets while no proxy runs. */
  readonly store: SystemdStore | undefined
}

export interface RestartOptions {
  readonly config: {
    readonly service_store: boolean
  }
  readonly adminSocket: string
  readonly environment: Environment
  readonly clock: Clock
  readonly logger: Logger
}

/** Takes what there is to take. */
export async function openRestartState(options: RestartOptions): Promise<RestartState> {
  const { config, adminSocket, environment, clock, logger } = options
  const notifySocket = environment['NOTIFY_SOCKET']
  if (config.service_store && notifySocket === undefined) {
    logger.warn({}, 'Sockets are not kept over a restart: no service manager started this process')
  }
  const store =
    config.service_store && notifySocket !== undefined
      ? new SystemdStore({ notifySocket, clock, logger })
      : undefined
  // Where a proxy answers operators its workers are no left workers.
  const isAlive = await isAnswered(adminSocket).catch(() => true)
  const path = takeoverSocketPath(adminSocket)
  const leftWorkers = isAlive
    ? undefined
    : ((await takeFromLeftWorkers({ path, clock, logger })) ??
      (await takeFromLeftWorkers({ path: formerSocketPath(path), clock, logger })))
  const { listeners, lifelines } = storedDescriptors(environment)
  const fds = [...listeners, ...(leftWorkers ?? [])]
  if (fds.length > 0) logger.info({ sockets: fds.length }, 'Inherited listening sockets')
  const hasLeftWorkers = leftWorkers !== undefined
  return { fds, lifelines, hasLeftWorkers, store }
}
