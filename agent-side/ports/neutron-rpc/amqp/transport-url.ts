/** One RabbitMQ server of a cluster. */
export interface Broker {
  readonly host: string
  /** Absent where the URL gives none: 5672, or 5671 with TLS. */
  readonly tcpPort?: number
  readonly username: string
  readonly password: string
}

/** What OpenStack's `transport_url` holds. */
export interface TransportUrl {
  /** At least one. */
  readonly brokers: readonly Broker[]
  readonly virtualHost: string
  /** The query: options of `[oslo_messaging_rabbit]` that count more than the file's. */
  readonly options: ReadonlyMap<string, string>
}

const schemes: ReadonlySet<string> = new Set([
  'rabbit',
  'amqp',
  'kombu',
  'kombu+rabbit',
  'kombu+amqp',
])

/** Never repeats any of the URL: it holds passwords. */
function unreadable(why: string): SyntaxError {
  return new SyntaxError(`Cannot read transport_url: ${why}`)
}

/**
 * As Python's `urllib.parse.unquote`, which oslo.messaging uses: a "%" that begins no escape is text, and bytes that are
 * not UTF-8 become U+FFFD. So `50%off` is a password.
 */
function decoded(text: string): string {
  return text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) =>
    new TextDecoder('utf-8', { ignoreBOM: true }).decode(
      Buffer.from(escapes.replaceAll('%', ''), 'hex'),
    ),
  )
}

/** oslo.messaging ends the host part at these signs too, and then finds a port that is no number, or another host. */
const cutsCredentials =
  'a "/", "?" or "#" in a user name or password must be written as %2F, %3F or %23'

interface HostPart {
  readonly host: string
  readonly tcpPort?: number
}

function parseHost(text: string): HostPart {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]@\s]+))(?::(\d*))?$/.exec(text)
  if (match === null) throw unreadable('a host is neither "name:port" nor "[IPv6]:port"')
  const [, ipv6, name, digits = ''] = match
  const host = ipv6 ?? name ?? ''
  if (digits === '') return { host }
  const tcpPort = Number(digits)
  if (tcpPort < 1 || tcpPort > 65_535) throw unreadable('a TCP port is not between 1 and 65535')
  return { host, tcpPort }
}

interface Credentials {
  readonly username: string
  readonly password: string
}

function parseCredentials(text: string): Credentials {
  const colon = text.indexOf(':')
  if (colon === -1) return { username: decoded(text), password: '' }
  return { username: decoded(text.slice(0, colon)), password: decoded(text.slice(colon + 1)) }
}

function parseBrokers(netloc: string): readonly Broker[] {
  const parts = netloc.split(',').filter((part) => part !== '')
  const read = parts.map((part) => {
    // The last one: a password may hold the sign itself.
    const at = part.lastIndexOf('@')
    return {
      ...parseHost(part.slice(at + 1)),
      ...(at !== -1 && { credentials: parseCredentials(part.slice(0, at)) }),
    }
  })
  const shared = read.find((part) => part.credentials !== undefined)?.credentials
  return read.map(({ host, tcpPort, credentials }) => ({
    host,
    ...(tcpPort !== undefined && { tcpPort }),
    ...(credentials ?? shared ?? { username: 'guest', password: 'guest' }),
  }))
}

/**
 * Reads `rabbit://user:pass@host:port,user2:pass2@host2:port/vhost?option=value` as oslo.messaging does: credentials
 * and virtual host percent-encoded, IPv6 in brackets, no path or `/` for the virtual host `/`. A host without
 * credentials has those of the first that has some.
 * @throws SyntaxError which repeats nothing of the text
 * @see oslo_messaging/transport.py, TransportURL.parse
 */
export function parseTransportUrl(text: string): TransportUrl {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/.exec(
    text.trim(),
  )
  if (match === null) {
    if (/#[^@]*@/.test(text)) throw unreadable(cutsCredentials)
    throw unreadable('it is not "rabbit://user:password@host:port/virtual_host"')
  }
  const [, scheme = '', netloc = '', path = '', query = ''] = match
  if (!schemes.has(scheme.toLowerCase())) {
    throw unreadable(
      scheme.toLowerCase() === 'amqps'
        ? '"amqps" is unknown to oslo.messaging; write "rabbit://…/?ssl=true", or set ssl'
        : `"${scheme}" is not a transport known here; use "rabbit"`,
    )
  }
  if (/[/?#][^@]*@/.test(text) && !netloc.includes('@')) throw unreadable(cutsCredentials)
  const brokers = parseBrokers(netloc)
  if (brokers.length === 0) throw unreadable('it names no host')
  const virtualHost = decoded(path.slice(1))
  return {
    brokers,
    virtualHost: virtualHost === '' ? '/' : virtualHost,
    options: new Map(new URLSearchParams(query)),
  }
}

/** What keeps a text from being read as a transport URL, for a check of the configuration. Repeats nothing of it. */
export function transportUrlProblem(text: string): string | undefined {
  try {
    parseTransportUrl(text)
    return undefined
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return thrown.message
    throw thrown
  }
}
