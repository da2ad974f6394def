/** Which of the namespaces that exist should be served, where, and as what? */
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import type { FoundNamespace } from '../netns/discover.ts'
import { metadataIpv4, metadataIpv6, metadataTcpPort } from '../../lib/wire/metadata-address.ts'
import type { TcpAddress } from '../../lib/identity/tcp-address.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import {
  identityFromName,
  isSameIdentity,
  type NamespaceIdentity,
  type NamespaceKind,
} from './identity.ts'

/** A namespace of the operator's own naming; it wins over the name. */
export interface NamespaceMapping {
  /** A name in the directory of namespaces, or an absolute path. */
  readonly netns: string
  readonly identity: NamespaceIdentity
  /** Instead of the addresses that are usual for its kind. */
  readonly listen?: readonly TcpAddress[]
  /** Whether packets to the metadata address are redirected to us. Usual for routers. */
  readonly intercept?: boolean
  /** The only interface on which the link-local address is looked for. */
  readonly interface?: string
}

/** A namespace that should be served. */
export interface Attachment {
  readonly key: NamespaceKey
  readonly netns: string
  readonly path: string
  readonly identity: NamespaceIdentity
  readonly listen: readonly TcpAddress[]
  readonly intercept: boolean
}

/** A namespace that is not served although it looks like one that should be. */
export interface RefusedNamespace {
  readonly netns: string
  readonly why: string
}

/** What decides how a namespace is served. */
export interface AttachmentRules {
  /** Whether names decide what a namespace is; otherwise only mappings count. */
  readonly discover: boolean
  readonly kinds: readonly NamespaceKind[]
  readonly mappings: readonly NamespaceMapping[]
  /** Where routers are listened in, behind the redirection. */
  readonly tcpPort: number
  readonly intercept: boolean
  /** The namespace of the proxy itself, in which it never listens for guests. */
  readonly homeKey: NamespaceKey
}

const anyAddress = '::' as IpAddress

/**
 * Decides for everything found. A namespace that two names claim for different scopes is served as neither: a guess would
 * give one tenant's metadata to another.
 */
export function planAttachments(
  found: readonly FoundNamespace[],
  rules: AttachmentRules,
): { readonly attachments: readonly Attachment[]; readonly refused: readonly RefusedNamespace[] } {
  const mappings = new Map(rules.mappings.map((mapping) => [mapping.netns, mapping]))
  const refused: RefusedNamespace[] = []
  const claims: Claim[] = []
  for (const one of found) {
    const mapping = mappings.get(one.netns)
    const attachment = planOne(one, mapping, rules)
    if (attachment === undefined) continue
    if (one.key === rules.homeKey) {
      refused.push({ netns: one.netns, why: 'it is the namespace of the proxy itself' })
    } else claims.push({ attachment, isMapped: mapping !== undefined })
  }
  const attachments: Attachment[] = []
  for (const claimants of groupByKey(claims)) {
    const [first, ...others] = claimants
    const other = others.find((one) => !isSameIdentity(one.identity, first.identity))
    if (other === undefined) attachments.push(first)
    else {
      const scopes = [first, other].map(({ identity }) => scopeText(identity.scope)).join(' and ')
      const why = `more than one name stands for this namespace, and they mean ${scopes}`
      refused.push(...claimants.map(({ netns }) => ({ netns, why })))
    }
  }
  return { attachments, refused }
}

/** Whether a name is one of a namespace that should be served, whatever it stands for. */
export function isToBeServed(netns: string, rules: AttachmentRules): boolean {
  if (rules.mappings.some((mapping) => mapping.netns === netns)) return true
  const identity = rules.discover ? identityFromName(netns) : undefined
  return identity !== undefined && rules.kinds.includes(identity.kind)
}

interface Claim {
  readonly attachment: Attachment
  readonly isMapped: boolean
}

/** All that claim one namespace; where the operator has a mapping, only that mapping. */
function groupByKey(claims: readonly Claim[]): [Attachment, ...Attachment[]][] {
  const mapped = new Set(claims.filter((one) => one.isMapped).map((one) => one.attachment.key))
  const groups = new Map<NamespaceKey, [Attachment, ...Attachment[]]>()
  for (const { attachment, isMapped } of claims) {
    if (!isMapped && mapped.has(attachment.key)) continue
    const group = groups.get(attachment.key)
    if (group === undefined) groups.set(attachment.key, [attachment])
    else group.push(attachment)
  }
  return [...groups.values()]
}

function planOne(
  { netns, path, key }: FoundNamespace,
  mapping: NamespaceMapping | undefined,
  rules: AttachmentRules,
): Attachment | undefined {
  const identity = mapping?.identity ?? (rules.discover ? identityFromName(netns) : undefined)
  if (identity === undefined) return undefined
  if (mapping === undefined && !rules.kinds.includes(identity.kind)) return undefined
  const isUsual = mapping?.listen === undefined
  const intercept = mapping?.intercept ?? (rules.intercept && identity.kind === 'router' && isUsual)
  const listen = mapping?.listen ?? usualAddresses(identity.kind, rules.tcpPort, mapping?.interface)
  return { key, netns, path, identity, listen, intercept }
}

/** @see neutron/agent/metadata/driver.py, agent/ovn/metadata/agent.py */
function usualAddresses(
  kind: NamespaceKind,
  tcpPort: number,
  onInterface: string | undefined,
): readonly TcpAddress[] {
  if (kind === 'router') return [{ address: anyAddress, tcpPort }]
  return [
    { address: metadataIpv4, tcpPort: metadataTcpPort },
    {
      address: metadataIpv6,
      tcpPort: metadataTcpPort,
      ...(onInterface !== undefined && { interface: onInterface }),
    },
  ]
}
