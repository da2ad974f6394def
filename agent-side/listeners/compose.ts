/** How do the listeners come together with whoever answers? */
import { peerUser } from '../../lib/linux/peer-credentials.ts'
import { mutualTlsFiles } from '../../lib/config/shared-options.ts'
import { proxyAccount } from '../../lib/files/accounts.ts'
import type { AgentConfig } from '../config/config.ts'
import { readProxyList } from '../config/proxy-list.ts'
import type { Surroundings } from '../config/surroundings.ts'
import type { Peer } from '../peers/lookup-key.ts'
import { ProxyGrants, type IsOnHost } from '../peers/proxy-grants.ts'
import type { PortDirectory } from '../ports/directory/port-directory.ts'
import type { RequestHandler } from '../requests/request-handler.ts'
import type { Fencing } from '../served-scopes/compose.ts'

import { TlsListener, type TlsListenerOptions } from './tls-listener.ts'
import { UnixListener } from './unix-listener.ts'

type ListenersObserver = NonNullable<TlsListenerOptions['observer']>

/** What listeners work with. */
export interface ListenerParts {
  readonly handler: RequestHandler
  readonly fencing: Fencing | undefined
  readonly directory: Pick<PortDirectory, 'isOnHost'>
}

/** Makes the configured listeners. None listens yet. */
export function composeListeners(
  config: AgentConfig,
  { handler, fencing, directory }: ListenerParts,
  { clock, logger }: Surroundings,
  observer: ListenersObserver,
): readonly (UnixListener | TlsListener)[] {
  const { limits: set } = config
  const limits = {
    headBytes: set.head_bytes,
    timeoutHead: set.timeout_head,
    timeoutRequest: set.timeout_request,
    timeoutKeepAlive: set.timeout_keep_alive,
    connections: set.connections,
    drain: set.timeout_drain,
  }
  const isOnHost: IsOnHost = (host, scope) => directory.isOnHost?.(host, scope) === true
  return config.listeners.map((listener) => {
    const { tcp, tls, proxies, proxies_file: file } = listener
    if (tcp === undefined) {
      const { socket: path, mode, user, group } = listener
      const usualGroup = listener.kind === 'overlapd' ? proxyAccount : undefined
      const socket = { path, mode, user, group, backlog: set.backlog, usualGroup }
      const userOf = fencing && peerUser
      const peer = peerOf(listener)
      return new UnixListener({ handler, peer, socket, limits, userOf, logger, observer })
    }
    // The check of the configuration refuses it; nothing here may depend on that having run.
    if (tls === undefined) throw new TypeError('A TCP listener without TLS')
    return new TlsListener({
      handler,
      address: tcp,
      backlog: set.backlog,
      files: mutualTlsFiles(tls),
      grants: new ProxyGrants(proxies, listener.proxies_by_chassis ? isOnHost : undefined),
      ...(file !== undefined && { grantsFile: { path: file, read: () => readProxyList(file) } }),
      limits: {
        ...limits,
        timeoutHandshake: tls.timeout_handshake,
        maxConnectionAge: tls.max_connection_age,
        connectionsPerProxy: tls.connections_per_proxy,
      },
      clock,
      logger,
      observer,
    })
  })
}

function peerOf(listener: AgentConfig['listeners'][number]): Peer {
  return listener.kind === 'overlapd'
    ? { kind: 'overlapd' }
    : { kind: 'neutron', flavour: listener.flavour }
}
