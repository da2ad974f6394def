import type { Clock } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { NamespaceWindow } from '../netns/window.ts'
import type { ProxyConfig } from './config.ts'

/** What each part of the proxy is made with. */
export interface Surroundings {
  readonly config: ProxyConfig
  readonly clock: Clock
  readonly logger: Logger
  /** The window is made before anything else, while the process is still small and quiet. */
  readonly window: NamespaceWindow
}
