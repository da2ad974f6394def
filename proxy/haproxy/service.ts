/** How are namespaces served that Neutron gives us one by one, and sockets of haproxies that an operator lets us adopt? */
import { closeSync } from 'node:fs'
import type { Clock, Count, Milliseconds } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { HandedSockets } from '../adopt/handed-sockets.ts'
import type { Attachment } from '../attachment.ts'
import type { Listeners } from '../listeners.ts'
import type { FoundNamespace } from '../netns/discover.ts'
import { linux, listenSocket, setSocketOption } from '../netns/libc.ts'
import type { OpenedListener } from '../netns/listen-in.ts'
import { listeningSocketOf, type ListeningSocket } from '../netns/listening-socket.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import type { Peer } from '../netns/peer.ts'
import { attachmentFolderOf } from './attachment-folder.ts'
import type { AttachmentRecord } from './attachment-record.ts'
import { HaproxyAttachments } from './attachments.ts'
import {
  claimAttachments,
  type AttachmentPlan,
  type ClaimedPlan,
  type ClaimRules,
} from './claimed-attachments.ts'
import type { ControlAnswer, ControlRequest } from './control-message.ts'
import { ControlServer } from './control-server.ts'

export interface HaproxyServiceOptions {
  readonly controlSocket: string
  readonly listeners: Pick<Listeners, 'statusOf' | 'takeOver' | 'retry'>
  readonly rules: ClaimRules
  readonly backlog: Count
  readonly clock: Clock
  readonly logger: Logger
  /** Makes a new plan now; it asks {@link HaproxyService.claim}. */
  readonly planAgain: () => void
}

/** A namespace is served some milliseconds after it is wanted; this is for a host that is very busy. */
const servingLimit: Milliseconds = 10_000
const askAgain: Milliseconds = 5

/** Takes requests, keeps the records, and adds them to each plan. */
export class HaproxyService {
  readonly #options: HaproxyServiceOptions
  readonly #attachments: HaproxyAttachments
  readonly #server: ControlServer
  readonly #handed: HandedSockets
  readonly #closed = new AbortController()
  #plan: ClaimedPlan | undefined

  constructor(options: HaproxyServiceOptions) {
    const { controlSocket, logger, planAgain } = options
    this.#options = options
    this.#handed = new HandedSockets(controlSocket)
    this.#attachments = new HaproxyAttachments({
      folder: attachmentFolderOf(controlSocket),
      logger,
      onChange: planAgain,
    })
    this.#server = new ControlServer({
      path: controlSocket,
      logger,
      answer: (request, peer) => this.#answer(request, peer),
    })
  }

  async start(): Promise<void> {
    await this.#server.start()
    this.#handed.start()
    this.#attachments.start()
  }

  async close(): Promise<void> {
    this.#closed.abort(new Error('the proxy is stopping'))
    this.#attachments.close()
    this.#handed.close()
    await this.#server.close()
  }

  /** Adds what Neutron wants to what names and mappings say. */
  claim(plan: AttachmentPlan, found: readonly FoundNamespace[]): AttachmentPlan {
    this.#plan = claimAttachments(plan, found, this.#attachments.records(), this.#options.rules)
    return this.#plan
  }

  async #answer({ kind, name }: ControlRequest, peer: Peer): Promise<ControlAnswer> {
    const handed = new Set(kind === 'adopt' ? this.#handed.take(peer.pid) : [])
    try {
      const record = this.#attachments.attach(name)
      const taken = this.#takeOver(record, handed)
      this.#options.listeners.retry(record.namespace)
      const answer =
        kind === 'adopt' && taken === 0
          ? ({ ok: false, why: 'none of its sockets could be taken over' } as const)
          : await this.#settled(record.namespace)
      if (!answer.ok) this.#attachments.release(name)
      return answer
    } finally {
      for (const fd of handed) closeSync(fd)
    }
  }

  /** @returns how many were taken; they leave the set, so that the rest can be closed */
  #takeOver({ namespace }: AttachmentRecord, handed: Set<number>): Count {
    const attachment = this.#attachmentOf(namespace)
    if (attachment === undefined) return 0
    const fits = [...handed].flatMap((fd) => this.#openedOf(attachment, fd) ?? [])
    const left = new Set(this.#options.listeners.takeOver(namespace, fits))
    const taken = fits.filter((one) => !left.has(one)).map(({ fd }) => fd)
    for (const fd of taken) handed.delete(fd)
    return taken.length
  }

  #attachmentOf(key: NamespaceKey): Attachment | undefined {
    return this.#plan?.attachments.find((one) => one.key === key)
  }

  /** A socket of another namespace would answer another tenant's guests, so the kernel is asked whose it is. */
  #openedOf(attachment: Attachment, fd: number): OpenedListener | undefined {
    const socket = listeningSocketOf(fd)
    if (socket === undefined || socket.namespace !== attachment.key) return undefined
    const { address, tcpPort, interfaceIndex } = socket
    const standsForAll = attachment.listen.some(
      (wanted) => wanted.address === '::' && address === '0.0.0.0' && wanted.tcpPort === tcpPort,
    )
    const isWanted = attachment.listen.some(
      (wanted) => wanted.address === address && wanted.tcpPort === tcpPort,
    )
    if (!isWanted && !standsForAll) return undefined
    listenSocket(fd, this.#options.backlog)
    const zone = interfaceIndex === 0 ? '' : `%${interfaceIndex}`
    return {
      bindingKey: `${standsForAll ? '::' : address}${zone}:${tcpPort}`,
      fd,
      bound: boundText(socket),
      savesSyn: saveSyn(fd),
    }
  }

  async #settled(key: NamespaceKey): Promise<ControlAnswer> {
    const { clock, listeners } = this.#options
    const end = clock.now() + servingLimit
    for (;;) {
      const refused = this.#plan?.refusedClaims.get(key)
      if (refused !== undefined) return { ok: false, why: refused }
      const status = listeners.statusOf(key)
      if (status === undefined) return { ok: false, why: 'the namespace is gone' }
      const { state, why } = status
      if (state === 'failed') return { ok: false, why: why ?? 'it cannot be listened in' }
      if (state === 'serving' || clock.now() >= end) {
        return { ok: true, state, listeners: status.listeners, ...(why !== undefined && { why }) }
      }
      await clock.sleep(askAgain, this.#closed.signal)
    }
  }
}

function boundText({ address, tcpPort, interfaceIndex }: ListeningSocket): string {
  if (!address.includes(':')) return `${address}:${tcpPort}`
  return `[${address}${interfaceIndex === 0 ? '' : `%${interfaceIndex}`}]:${tcpPort}`
}

function saveSyn(fd: number): boolean {
  try {
    setSocketOption(fd, linux.IPPROTO_TCP, linux.TCP_SAVE_SYN, 2)
    return true
  } catch {
    return false
  }
}
