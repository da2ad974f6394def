/** What must be opened and closed so that what is open is what should be? */
import type { Attachment } from './plan-attachments.ts'
import { isSameIdentity } from './identity.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'

/** What has to be opened and closed. */
export interface AttachmentChanges {
  readonly open: readonly Attachment[]
  /** The namespace is gone, or is to be served as something else: then its key stands in `open` as well. */
  readonly close: readonly NamespaceKey[]
  /** Served as before, under another name or path. */
  readonly rename: readonly Attachment[]
}

/** Compares by (device, inode), so that a name made again is another namespace. Touches nothing. */
export function reconcile(
  desired: readonly Attachment[],
  current: ReadonlyMap<NamespaceKey, Attachment>,
): AttachmentChanges {
  const open: Attachment[] = []
  const close: NamespaceKey[] = []
  const rename: Attachment[] = []
  const wanted = new Set<NamespaceKey>()
  for (const attachment of desired) {
    wanted.add(attachment.key)
    const served = current.get(attachment.key)
    if (served === undefined) open.push(attachment)
    else if (!isServedAlike(served, attachment)) {
      close.push(attachment.key)
      open.push(attachment)
    } else if (served.netns !== attachment.netns || served.path !== attachment.path) {
      rename.push(attachment)
    }
  }
  for (const key of current.keys()) if (!wanted.has(key)) close.push(key)
  return { open, close, rename }
}

function isServedAlike(one: Attachment, other: Attachment): boolean {
  return (
    isSameIdentity(one.identity, other.identity) &&
    one.intercept === other.intercept &&
    listenText(one) === listenText(other)
  )
}

function listenText({ listen }: Attachment): string {
  return listen
    .map((one) => `${one.address}%${one.interface ?? ''}:${one.tcpPort}`)
    .sort()
    .join(' ')
}
