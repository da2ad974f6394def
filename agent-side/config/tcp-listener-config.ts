/** What can an operator decide about proxies of other hosts? */
import { systemClock } from '../../lib/runtime/clock.ts'
import type { ConfigProblem, ValueOf } from '../../lib/config/entry.ts'
import { defaultSockets } from '../../lib/config/defaults.ts'
import { duration, integer, path } from '../../lib/config/option.ts'
import { mutualTls, mutualTlsFiles, tcpAddress } from '../../lib/config/shared-options.ts'
import { optional, section } from '../../lib/config/structure.ts'
import { tlsFilesProblem } from '../../lib/files/tls-material.ts'
import type { ProxyGrant } from '../peers/proxy-grants.ts'
import { proxyFileProblems, proxyListProblems } from './proxy-list.ts'

/** The option `tcp` of a listener. */
export const tcp = tcpAddress({ help: 'Where to listen for the proxies of other hosts.', min: 0 })

/** The section `tls` of a listener. */
export const tls = section({
  ...mutualTls,
  crl_file: optional(
    path({
      help: 'Certificate revocation list (PEM). When it is out of date no proxy can connect.',
    }),
  ),
  max_connection_age: duration({
    help: 'After which a connection of a proxy is ended; a certificate that was taken back counts for so long at most.',
    default: '10m',
    min: '1s',
    max: '1d',
  }),
  timeout_handshake: duration({
    help: 'How long a proxy may take to show its certificate.',
    default: '5s',
    min: '10ms',
    max: '1m',
  }),
  connections_per_proxy: integer({
    help: 'Connections of one proxy, so that one host cannot take the places of all.',
    default: 1_024,
    min: 1,
    max: 1_000_000,
    unit: 'connections',
  }),
})

/** The part of a listener's configuration that is about TCP. */
export interface TcpListenerConfig {
  readonly kind: string
  readonly socket: string
  readonly tcp: ValueOf<typeof tcp> | undefined
  readonly tls: ValueOf<typeof tls> | undefined
  readonly proxies: readonly ProxyGrant[]
  readonly proxies_file: string | undefined
  readonly proxies_by_chassis: boolean
}

/** TCP without mutual TLS would let whoever reaches the port be any instance. */
export function tcpListenerProblems(
  listener: TcpListenerConfig,
  path: string,
): readonly ConfigProblem[] {
  const { kind, socket, tcp: address, tls: files, proxies, proxies_file: file } = listener
  const isListed = proxies.length > 0 || file !== undefined || listener.proxies_by_chassis
  if (address === undefined) {
    if (files === undefined && !isListed) return []
    return [{ path, message: 'has tls or proxies, which need tcp beside them' }]
  }
  const problems: ConfigProblem[] = [...proxyListProblems(proxies, `${path}.proxies`)]
  const report = (key: string, message: string): void => {
    problems.push({ path: `${path}.${key}`, message })
  }
  if (kind !== 'overlapd') report('kind', 'must be overlapd with tcp: haproxy shows no certificate')
  if (socket !== defaultSockets.agent)
    report('socket', 'does not work together with tcp; list two listeners')
  if (files === undefined) report('tls', 'must be given with tcp: proxies must show certificates')
  if (!isListed) report('proxies', 'names no proxy, so no proxy could connect')
  if (proxies.length > 0 && file !== undefined) {
    report('proxies_file', 'and proxies cannot both be given')
  }
  if (file !== undefined) problems.push(...proxyFileProblems(file, `${path}.proxies_file`))
  if (files !== undefined) {
    const problem = tlsFilesProblem(mutualTlsFiles(files), systemClock.wallTime())
    if (problem !== undefined) report('tls', problem)
  }
  return problems
}
