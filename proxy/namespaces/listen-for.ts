/** How are the sockets of one attachment opened? In its namespace, by its key, with those of a proxy before this one. */
import type { Count } from '../../lib/runtime/clock.ts'
import { listenIn, type FailedListener, type ListenOutcome } from '../netns/listen-in.ts'
import { openNamespace } from '../netns/namespace-handle.ts'
import type { NamespaceWindow } from '../netns/window.ts'
import type { InheritedSockets } from './inherited-sockets.ts'
import type { WantedNamespace } from './listener-status.ts'
import type { Attachment } from './plan-attachments.ts'

export interface ListeningOptions {
  readonly window: NamespaceWindow
  readonly backlog: Count
  /** Sockets of a proxy before this one. */
  readonly inherited?: InheritedSockets
  /** Inside the namespace, when addresses are bound for the first time and not yet listened on: system calls only. */
  readonly beforeListening?: (attachment: Attachment) => void
  /** Which process listens where we cannot, for people. */
  readonly holderOf?: (attachment: Attachment, tcpPort: number) => string
}

/**
 * Opens what is wanted and not open yet.
 * @param close for inherited sockets that cannot be used
 * @throws Error when the namespace cannot be entered, or its name stands for another by now
 */
export function listenFor(
  options: ListeningOptions,
  { attachment, held, isOpened }: WantedNamespace,
  close: (fd: number) => void,
): ListenOutcome {
  const { window, backlog, beforeListening, inherited } = options
  const handle = openNamespace(attachment.path)
  try {
    if (handle.key !== attachment.key) throw new Error('the name stands for another namespace')
    const sockets = inherited?.take(attachment.key) ?? []
    try {
      const outcome = listenIn(window, handle, attachment.listen, {
        backlog,
        open: new Set(held.keys()),
        inherited: sockets,
        ...(!isOpened && { beforeListening: () => beforeListening?.(attachment) }),
      })
      return {
        ...outcome,
        failed: outcome.failed.map((one) => explained(options, attachment, one)),
      }
    } catch (cause) {
      for (const { fd } of sockets) close(fd)
      throw cause
    }
  } finally {
    handle.close()
  }
}

function explained(
  { holderOf }: ListeningOptions,
  attachment: Attachment,
  failed: FailedListener,
): FailedListener {
  const { why, tcpPort } = failed
  if (why !== 'EADDRINUSE' || tcpPort === undefined) return failed
  const holder = holderOf?.(attachment, tcpPort)
  return holder === undefined ? failed : { ...failed, why: `EADDRINUSE (${holder})` }
}
