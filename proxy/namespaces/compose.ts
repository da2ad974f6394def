/** How do listening sockets come together with the rules that lead to them, and with what finds namespaces? */
import type { Count } from '../../lib/runtime/clock.ts'
import type { ProxyMetrics } from '../admin/metrics.ts'
import { readMapping, type ProxyConfig } from '../config/config.ts'
import type { Surroundings } from '../config/surroundings.ts'
import type { Interception } from '../interception/interception.ts'
import { NamespaceDiscovery, type FoundNamespace } from '../netns/discover.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import { holdersText, type PortHolders } from '../netns/port-holder.ts'
import type { RestartState } from '../takeover/restart-state.ts'
import { InheritedSockets } from './inherited-sockets.ts'
import { Listeners, type ListenerSink } from './listeners.ts'
import type { AttachmentRules } from './plan-attachments.ts'

/** What listeners are made with, besides what every part is. */
export interface ListenersParts {
  readonly sink: ListenerSink
  readonly interception: Interception
  readonly holders: PortHolders
  /** Ends what a worker of before has left where we listen. */
  readonly strays: { endHolders(inodes: ReadonlySet<string>): Count } | undefined
  readonly restart: RestartState | undefined
  readonly metrics: ProxyMetrics
}

/** Makes the listeners of the host, of which none is open. */
export function composeListeners(
  { config, clock, logger, window }: Surroundings,
  { sink, interception, holders, strays, restart, metrics }: ListenersParts,
): Listeners {
  const inherited = new InheritedSockets(logger, (fd) => restart?.store?.remove(fd))
  inherited.add(restart?.fds ?? [])
  return new Listeners({
    window,
    inherited,
    store: restart?.store,
    sink,
    clock,
    logger,
    backlog: config.limits.backlog,
    beforeListening: (attachment) => {
      if (attachment.intercept) interception.loadInside(attachment)
    },
    onOpened: (attachment) => {
      if (attachment.intercept) interception.add(attachment)
    },
    onRenamed: (attachment) => interception.rename(attachment),
    onClosed: (attachment) => interception.remove(attachment),
    holderOf: ({ path, key }, tcpPort) => {
      const ended = strays?.endHolders(holders.inodes(path, key, tcpPort)) ?? 0
      if (ended > 0) return 'a process that a worker left listens there, and is being ended'
      return holdersText(holders.find(path, key, tcpPort))
    },
    onServing: (span) => metrics.attachSeconds.observe(span / 1_000),
  })
}

/** Makes what looks for namespaces, which calls with all of them at each look. */
export function composeDiscovery(
  { config, clock, logger }: Surroundings,
  rules: AttachmentRules,
  onScan: (found: readonly FoundNamespace[]) => void,
): NamespaceDiscovery {
  return new NamespaceDiscovery({
    directory: config.netns_dir,
    paths: rules.mappings.map(({ netns }) => netns).filter((netns) => netns.startsWith('/')),
    clock,
    logger,
    fullPass: config.poll_interval,
    onScan,
  })
}

/** What the configuration decides about which namespaces are served as what. */
export function attachmentRules(config: ProxyConfig, homeKey: NamespaceKey): AttachmentRules {
  return {
    discover: config.discover,
    kinds: config.kinds,
    mappings: config.mappings.map(readMapping).filter((mapping) => mapping !== undefined),
    tcpPort: config.intercept.tcp_port,
    intercept: config.intercept.enabled,
    homeKey,
  }
}
