/** How do the parts that keep workers to the scopes of their host come together? */
import { supervisorGroup, userIdOf } from '../../lib/files/accounts.ts'
import type { Clock, Count } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { AgentConfig } from '../config/config.ts'
import {
  ConnectionRefusals,
  type ConnectionRefusalsOptions,
} from '../listeners/connection-refusals.ts'
import { scopesSocket } from './config.ts'
import { Fence, type FenceObserver } from './fence.ts'
import { ScopesListener } from './listener.ts'
import { markerBeside } from './marker.ts'

/** Some supervisors that connect at the same time. */
const backlog: Count = 64

/** The fence, and where it receives reports. */
export interface Fencing {
  readonly fence: Fence
  readonly listener: ScopesListener
}

/** @returns `undefined` where no worker of this host connects, or they may send requests for every scope */
export function composeFencing(
  config: AgentConfig,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  observer: FenceObserver & NonNullable<ConnectionRefusalsOptions['observer']>,
): Fencing | undefined {
  const path = scopesSocket(config)
  const { fence: mode, mode: bits, group, supervisor } = config.served_scopes
  if (path === undefined || mode === 'never') return undefined
  const accounts = [0, process.geteuid?.(), supervisor && userIdOf(supervisor)]
  const supervisors = new Set(accounts.filter((user) => typeof user === 'number'))
  const marker = markerBeside(path, logger)
  const fence = new Fence({ mode, marker, supervisors, clock, observer })
  const listener = new ScopesListener({
    fence,
    socket: { path, mode: bits, group, usualGroup: supervisorGroup, backlog },
    supervisors,
    refusals: new ConnectionRefusals({ clock, logger, observer }),
    clock,
  })
  return { fence, listener }
}
