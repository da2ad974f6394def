/** Which namespaces are served because Neutron requested it, and where does that contradict what else is known of them? */
import { scopeText } from '../../lib/identity/scope.ts'
import type {
  Attachment,
  AttachmentRules,
  RefusedNamespace,
} from '../namespaces/plan-attachments.ts'
import { identityFromName, isSameIdentity, type NamespaceIdentity } from '../namespaces/identity.ts'
import type { FoundNamespace } from '../netns/discover.ts'
import type { TcpAddress } from '../../lib/identity/tcp-address.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import type { AttachmentRecord } from './attachment-record.ts'

/** What to serve on request, and what was refused. */
export interface AttachmentPlan {
  readonly attachments: readonly Attachment[]
  readonly refused: readonly RefusedNamespace[]
}

/** A plan with what records hold, and for which namespaces they were refused. */
export interface ClaimedPlan extends AttachmentPlan {
  readonly refusedClaims: ReadonlyMap<NamespaceKey, string>
}

/** What decides how a claimed namespace is served. */
export type ClaimRules = Pick<AttachmentRules, 'mappings' | 'tcpPort' | 'intercept' | 'homeKey'>

/**
 * Adds what overlapd-haproxy was started for to a plan made from names and mappings. A record holds for certain in which namespace
 * its process lives, and only Neutron writes it; still, where it contradicts the name of the namespace, the operator or another record,
 * the namespace is served as neither.
 */
export function claimAttachments(
  plan: AttachmentPlan,
  found: readonly FoundNamespace[],
  records: readonly AttachmentRecord[],
  rules: ClaimRules,
): ClaimedPlan {
  const refusedClaims = new Map<NamespaceKey, string>()
  const names = groupBy(found, ({ key }) => key)
  const claims = groupBy(records, ({ namespace }) => namespace)
  const refusedNames = new Set(plan.refused.map(({ netns }) => netns))
  const attachments = new Map(plan.attachments.map((one) => [one.key, one]))
  const refused: RefusedNamespace[] = [...plan.refused]
  for (const [key, [record, ...others]] of claims) {
    const known = names.get(key) ?? []
    if (known.some(({ netns }) => refusedNames.has(netns))) {
      refusedClaims.set(key, 'what its names stand for contradicts each other')
      continue
    }
    const planned = attachments.get(key)
    const isMapped = known.some(({ netns }) => rules.mappings.some((one) => one.netns === netns))
    const why = whyNot(key, record, others, isMapped ? planned : undefined, known, rules)
    const netns = known[0]?.netns ?? `/proc/${record.pid}/ns/net`
    if (why !== undefined) {
      attachments.delete(key)
      refused.push({ netns, why })
      refusedClaims.set(key, why)
    } else if (planned === undefined || !(isMapped || covers(planned, record))) {
      const path = known[0]?.path ?? netns
      attachments.set(key, attachmentOf(record, netns, path, rules))
    }
  }
  return { attachments: [...attachments.values()], refused, refusedClaims }
}

function groupBy<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => NamespaceKey,
): Map<NamespaceKey, [Item, ...Item[]]> {
  const groups = new Map<NamespaceKey, [Item, ...Item[]]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}

function whyNot(
  key: NamespaceKey,
  { identity }: AttachmentRecord,
  others: readonly AttachmentRecord[],
  mapped: Attachment | undefined,
  known: readonly FoundNamespace[],
  rules: ClaimRules,
): string | undefined {
  const claim = `overlapd-haproxy was started for ${scopeText(identity.scope)}`
  if (key === rules.homeKey) return `${claim} in the namespace of the proxy itself`
  const other = others.find((one) => !isSameIdentity(one.identity, identity))
  if (other !== undefined) return `${claim} and for ${scopeText(other.identity.scope)}`
  if (mapped !== undefined && !isSameIdentity(mapped.identity, identity)) {
    return `${claim}, the configuration maps it to ${scopeText(mapped.identity.scope)}`
  }
  if (mapped !== undefined) return undefined
  const contradicting = known
    .map(({ netns }) => identityFromName(netns))
    .find((named) => named !== undefined && !canStandFor(named, identity))
  return contradicting && `${claim}, its name stands for ${scopeText(contradicting.scope)}`
}

/**
 * The DHCP agent serves a router's guests in a network's namespace when it has a "metadata network". Nothing else may differ.
 * @see enable_metadata_network in neutron/agent/dhcp/agent.py
 */
function canStandFor(named: NamespaceIdentity, claimed: NamespaceIdentity): boolean {
  if (isSameIdentity(named, claimed)) return true
  return named.kind === 'network' && claimed.kind === 'router'
}

/** What is served already for the same guests on at least the same addresses is left as it is. */
function covers(planned: Attachment, record: AttachmentRecord): boolean {
  return (
    isSameIdentity(planned.identity, record.identity) &&
    record.listen.every((wanted) => planned.listen.some((one) => includes(one, wanted)))
  )
}

function includes(one: TcpAddress, wanted: TcpAddress): boolean {
  const isEverywhere = one.address === '::' && one.interface === undefined
  return (
    one.tcpPort === wanted.tcpPort &&
    (isEverywhere || one.address === wanted.address) &&
    (one.interface === undefined || one.interface === wanted.interface)
  )
}

/** Neutron redirects in a router by itself; our rules beside its own guard the port when it is the same one. */
function attachmentOf(
  { namespace, identity, listen }: AttachmentRecord,
  netns: string,
  path: string,
  rules: ClaimRules,
): Attachment {
  const isOurPort = listen.some(({ tcpPort }) => tcpPort === rules.tcpPort)
  const intercept = rules.intercept && identity.kind === 'router' && isOurPort
  return { key: namespace, netns, path, identity, listen, intercept }
}
