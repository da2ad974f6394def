import type { Clock } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { PortDirectory } from '../ports/directory/port-directory.ts'

/** What an agent is given to live with. */
export interface Surroundings {
  readonly clock: Clock
  readonly logger: Logger
  /** The variables of the process. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Stands for the configured port directory, in tests. */
  readonly directory?: PortDirectory
}
