import type { Registry } from '../../../lib/observe/metrics.ts'
import type { Clock } from '../../../lib/runtime/clock.ts'
import type { Logger } from '../../../lib/runtime/log.ts'

/** What every port directory works with, beside its configuration. */
export interface DirectoryParts {
  readonly clock: Clock
  readonly logger: Logger
  /** The directory registers its metrics here, so one registry serves one directory. */
  readonly registry: Registry
  /** Whether proxies of other hosts connect, so that what is served here is not known. @default false */
  readonly isCentral?: boolean
  /** Whether ports are to carry the tags of their networks, by the directory that can read them. @default false */
  readonly readsNetworkTags?: boolean
  /** Whether {@link PortDirectory.isOnHost} is needed. @default false */
  readonly grantsByHost?: boolean
}
