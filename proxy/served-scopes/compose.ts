/** How does what this host serves come to be reported to its agents? */
import { scopesSocketsOf } from '../config/agent-places.ts'
import type { Surroundings } from '../config/surroundings.ts'
import { workerAccount } from '../privileges/accounts.ts'
import { Announcer } from './announcer.ts'

/** Makes what reports. Nothing is reported before it is started. */
export function composeAnnouncer({ config, clock, logger }: Surroundings): Announcer {
  const workers = workerAccount(config.workers)?.userId ?? process.geteuid?.() ?? 0
  return new Announcer({ sockets: scopesSocketsOf(config), workers, clock, logger })
}
