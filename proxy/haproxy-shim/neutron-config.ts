/** What does Neutron want of the haproxy it starts? Read from the configuration file it wrote for it. */
import { parseIpAddress } from '../../lib/identity/ip-address.ts'
import { tcpAddressText, type TcpAddress } from '../../lib/identity/tcp-address.ts'
import { identityOf, isSameIdentity, type NamespaceIdentity } from '../namespaces/identity.ts'

/** What one configuration file of Neutron holds, as far as it matters to a namespace's proxy. */
export interface NeutronHaproxyConfig {
  readonly identity: NamespaceIdentity
  readonly listen: readonly TcpAddress[]
  readonly pidFile: string
  /** The UNIX socket of the metadata agent. */
  readonly agentSocket: string
  /** Whom haproxy would run as. */
  readonly user?: string
  readonly group?: string
  readonly logTag?: string
  /** Directives that have no effect here, each once: `stick-table`. */
  readonly ignored: readonly string[]
}

/** Neutron's own are about one kilobyte. */
export const longestConfig = 65_536
const mostLines = 1_000
const mostAddresses = 16
const mostIgnored = 20

/**
 * Directives whose meaning overlapd has anyway (logs, limits of time and connections, adding the peer's address), or that
 * matter to haproxy's own process only.
 */
const meantAnyway = new Set(`log maxconn nbthread daemon mode option retries timeout`.split(' '))

/** Which identity header stands for what. @see neutron/common/metadata.py, agent/metadata/driver.py, agent/ovn/metadata/driver.py */
const identityHeaders: Readonly<Record<string, NamespaceIdentity['kind']>> = {
  'x-neutron-router-id': 'router',
  'x-neutron-network-id': 'network',
  'x-ovn-network-id': 'ovn',
}

interface Draft {
  readonly identities: NamespaceIdentity[]
  readonly listen: TcpAddress[]
  readonly ignored: Set<string>
  readonly single: Map<SingleWord, string>
}
type SingleWord = 'pidfile' | 'user' | 'group' | 'log-tag' | 'server'

/**
 * Reads a configuration as Neutron's drivers write it. Nothing but the plain words that they use is understood: no quotes, no
 * escapes, no variables. Whatever defines who the guests are, or where to listen, must be understood to the last sign; what defines
 * something else is listed as ignored.
 * @throws SyntaxError with the line that cannot be used
 */
export function parseNeutronHaproxyConfig(text: string): NeutronHaproxyConfig {
  if (text.length > longestConfig) throw new SyntaxError('the configuration is too long')
  const lines = text.split('\n')
  if (lines.length > mostLines) throw new SyntaxError('the configuration has too many lines')
  const draft: Draft = { identities: [], listen: [], ignored: new Set(), single: new Map() }
  let section = ''
  for (const [index, line] of lines.entries()) {
    const words = line.trim().split(/[ \t]+/)
    const [word = ''] = words
    if (word === '' || word.startsWith('#')) continue
    const sectionName = nameOfSection(words)
    if (sectionName !== undefined) {
      section = sectionName
      continue
    }
    try {
      readDirective(draft, section, words)
    } catch (cause) {
      throw new SyntaxError(`line ${index + 1} cannot be used: ${(cause as Error).message}`, {
        cause,
      })
    }
  }
  return finished(draft)
}

const sections = new Set('global defaults listen frontend backend'.split(' '))

function nameOfSection(words: readonly string[]): string | undefined {
  const [word = ''] = words
  return sections.has(word) ? word : undefined
}

function readDirective(draft: Draft, section: string, words: readonly string[]): void {
  const [directive = '', ...rest] = words
  switch (`${section} ${directive}`) {
    case 'global pidfile':
    case 'global user':
    case 'global group':
    case 'global log-tag':
      readSingle(draft, directive as SingleWord, rest)
      break
    case 'listen bind':
      if (draft.listen.length === mostAddresses) throw new SyntaxError('too many addresses')
      draft.listen.push(readBind(rest))
      break
    case 'listen server':
      // server NAME PATH
      readSingle(draft, 'server', rest.slice(1))
      break
    case 'listen http-request':
      readHttpRequest(draft, rest)
      break
    default:
      if (!meantAnyway.has(directive)) ignore(draft, directive)
  }
}

function ignore(draft: Draft, directive: string): void {
  if (draft.ignored.size < mostIgnored) draft.ignored.add(directive.slice(0, 40))
}

const plainWord = /^[A-Za-z0-9_.:/@+-]{1,4096}$/

function readSingle(draft: Draft, name: SingleWord, words: readonly string[]): void {
  const [value = '', ...others] = words
  if (others.length > 0 || !plainWord.test(value)) {
    throw new SyntaxError(`"${name}" needs exactly one plain word`)
  }
  if (draft.single.has(name)) throw new SyntaxError(`"${name}" is given twice`)
  draft.single.set(name, value)
}

/** `HOST:PORT`, `[HOST]:PORT`, and for link-local addresses `interface NAME` behind it. */
function readBind(words: readonly string[]): TcpAddress {
  const [where = '', keyword, name, ...others] = words
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(where) ?? []
  const address = parseIpAddress(host?.replace(/^\[([^\]%]+)\]$/, '$1'))
  const tcpPort = Number(port)
  if (address === undefined || host?.includes('%') || tcpPort < 1 || tcpPort > 65_535) {
    throw new SyntaxError('"bind" needs one address with a port')
  }
  if (keyword === undefined) return { address, tcpPort }
  const isInterface = keyword === 'interface' && /^[A-Za-z0-9._@-]{1,15}$/.test(name ?? '')
  if (!isInterface || name === undefined || others.length > 0) {
    throw new SyntaxError('"bind" with anything but an interface is not supported')
  }
  return { address, tcpPort, interface: name }
}

function readHttpRequest(draft: Draft, words: readonly string[]): void {
  const [action = '', header = '', value, ...others] = words
  const kind = identityHeaders[header.toLowerCase()]
  // Nothing a guest sends is ever taken for an identity, so there is nothing to delete.
  if (action === 'del-header') return
  if (kind === undefined) {
    ignore(draft, `http-request ${action}`)
    return
  }
  const identity = identityOf(kind, value)
  const isPlain = action === 'set-header' || action === 'add-header'
  if (!isPlain || identity === undefined || others.length > 0) {
    throw new SyntaxError(`"${header}" needs exactly one plain id`)
  }
  draft.identities.push(identity)
}

function finished({ identities, listen, ignored, single }: Draft): NeutronHaproxyConfig {
  const [identity, ...others] = identities
  if (identity === undefined) {
    throw new SyntaxError('no header names the router or network')
  }
  if (others.some((other) => !isSameIdentity(other, identity))) {
    throw new SyntaxError('the headers name more than one router or network')
  }
  if (listen.length === 0) throw new SyntaxError('no address to listen on is given')
  if (new Set(listen.map(tcpAddressText)).size !== listen.length) {
    throw new SyntaxError('an address to listen on is given twice')
  }
  const user = single.get('user')
  const group = single.get('group')
  const logTag = single.get('log-tag')
  return {
    identity,
    listen,
    pidFile: absolute(single, 'pidfile'),
    agentSocket: absolute(single, 'server'),
    ...(user !== undefined && { user }),
    ...(group !== undefined && { group }),
    ...(logTag !== undefined && { logTag }),
    ignored: [...ignored],
  }
}

function absolute(single: Draft['single'], name: SingleWord): string {
  const path = single.get(name)
  if (path === undefined || !path.startsWith('/')) {
    throw new SyntaxError(`"${name}" must give an absolute path`)
  }
  return path
}
