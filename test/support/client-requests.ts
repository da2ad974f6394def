/**
 * What do programs of guests send for metadata, byte by byte? Those of Debian 12 and of the registry of npm were recorded; the others
 * follow from the sources that are named.
 */

/** A family of clients. */
export interface RecordedClient {
  readonly family: string
  /** What was recorded, or the files that it follows from. */
  readonly source: string
  /** Its `Host` over IPv6; absent for one that knows the address of IPv4 alone. */
  readonly ipv6Host?: string
  /** All on one connection, as long as that is open. @default one for each */
  readonly keepsConnection?: true
  /** Whole requests in their order, with `{host}`, and `{token}` for what the first of them brought. */
  readonly requests: readonly string[]
}

/** The zone of the address is the guest's own word for its interface. */
export const zonedIpv6Host = '[fe80::a9fe:a9fe%eth0]'
export const bareIpv6Host = '[fe80::a9fe:a9fe]'

/** The lines of a request's head, as they are sent. */
export function head(...lines: readonly string[]): string {
  return [...lines, '', ''].join('\r\n')
}

/** `requests` of Python, for the programs that are built on it. */
export function pythonRequests(agent: string, target: string, ...more: readonly string[]): string {
  return head(
    `${target} HTTP/1.1`,
    'Host: {host}',
    `User-Agent: ${agent}`,
    'Accept-Encoding: gzip, deflate',
    'Accept: */*',
    'Connection: keep-alive',
    ...more,
  )
}

/** `net/http` of Go: Host and User-Agent first, the rest by name, and its own Accept-Encoding at the end. */
export function goHttp(
  target: string,
  agent = 'Go-http-client/1.1',
  ...more: readonly string[]
): string {
  const lines = [`${target} HTTP/1.1`, 'Host: {host}', `User-Agent: ${agent}`, ...more]
  return head(...lines, 'Accept-Encoding: gzip')
}
