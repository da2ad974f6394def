/** How are namespaces served that Neutron gives us one by one, and sockets of haproxies that an operator lets us adopt? */
import { closeSync } from 'node:fs'
import { tcpAddressText } from '../../lib/identity/tcp-address.ts'
import type { Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { PassedSockets } from '../linux/socket-passing.ts'
import type { Attachment } from '../namespaces/plan-attachments.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import type { FoundNamespace } from '../netns/discover.ts'
import { listenSocket } from '../../lib/linux/libc.ts'
import type { OpenedListener } from '../netns/listen-in.ts'
import { listeningSocketOf, type ListeningSocket } from '../netns/listening-socket.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'
import type { PeerCredentials } from '../../lib/linux/peer-credentials.ts'
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
import { saveSyn } from '../netns/listen-in.ts'
import { ControlServer } from './control-server.ts'

export interface NamespaceGrantsOptions {
  readonly controlSocket: string
  readonly listeners: Pick<Listeners, 'statusOf' | 'takeOver' | 'giveBack' | 'retry'>
  readonly rules: ClaimRules
  readonly backlog: Count
  readonly clock: Clock
  readonly logger: Logger
  /** Makes a new plan now; it calls {@link NamespaceGrants.claim}. */
  readonly planAgain: () => void
}

/** A namespace is served some milliseconds after it is wanted; this is for a host that is very busy. */
const servingLimit: Milliseconds = 10_000
const pollPause: Milliseconds = 5

/** Takes requests, keeps the records, and adds them to each plan. */
export class NamespaceGrants {
  readonly #options: NamespaceGrantsOptions
  readonly #attachments: HaproxyAttachments
  readonly #server: ControlServer
  readonly #passed: PassedSockets
  readonly #closed = new AbortController()
  #plan: ClaimedPlan | undefined

  constructor(options: NamespaceGrantsOptions) {
    const { controlSocket, logger, planAgain } = options
    this.#options = options
    this.#passed = new PassedSockets(controlSocket)
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

  /** Reads what was attached before. The first plan needs it. */
  restore(): void {
    this.#attachments.start()
  }

  async start(): Promise<void> {
    await this.#server.start()
    this.#passed.start()
  }

  async close(): Promise<void> {
    this.#closed.abort(new Error('the proxy is stopping'))
    this.#attachments.close()
    this.#passed.close()
    await this.#server.close()
  }

  /** Adds what Neutron wants to the plan of names and mappings. */
  claim(plan: AttachmentPlan, found: readonly FoundNamespace[]): AttachmentPlan {
    this.#plan = claimAttachments(plan, found, this.#attachments.records(), this.#options.rules)
    return this.#plan
  }

  async #answer(request: ControlRequest, peer: PeerCredentials): Promise<ControlAnswer> {
    if (request.kind === 'adopt') return this.#adopt(request.name, this.#passed.take(peer.pid))
    const { namespace } = this.#attachments.attach(request.name)
    this.#options.listeners.retry(namespace)
    const answer = await this.#settled(namespace)
    if (!answer.ok) this.#attachments.release(request.name)
    return answer
  }

  /** Whoever passed the sockets over goes on with them unless guests are served by us. */
  async #adopt(name: string, passed: readonly number[]): Promise<ControlAnswer> {
    const left = new Set(passed)
    try {
      const record = this.#attachments.attach(name)
      const { namespace } = record
      const taken = this.#takeOver(record, passed)
      for (const { fd } of taken) left.delete(fd)
      const answer = taken.length === 0 ? notAdopted : onlyServing(await this.#settled(namespace))
      if (!answer.ok) {
        this.#options.listeners.giveBack(namespace, taken)
        this.#attachments.release(name)
      }
      return answer
    } finally {
      for (const fd of left) closeSync(fd)
    }
  }

  #takeOver(record: AttachmentRecord, passed: readonly number[]): readonly OpenedListener[] {
    const { namespace } = record
    const attachment = this.#attachmentOf(namespace)
    if (attachment === undefined) return []
    const fits = passed.flatMap((fd) => this.#openedOf(attachment, record, fd) ?? [])
    const refused = new Set(this.#options.listeners.takeOver(namespace, fits))
    return fits.filter((one) => !refused.has(one))
  }

  #attachmentOf(key: NamespaceKey): Attachment | undefined {
    return this.#plan?.attachments.find((one) => one.key === key)
  }

  /** A socket of another namespace would answer another tenant's guests, so the kernel names its namespace. */
  #openedOf(
    attachment: Attachment,
    record: AttachmentRecord,
    fd: number,
  ): OpenedListener | undefined {
    const socket = listeningSocketOf(fd)
    if (socket === undefined || socket.namespace !== attachment.key) return undefined
    const { address, tcpPort, interfaceIndex } = socket
    const standsForAll = attachment.listen.some(
      (wanted) => wanted.address === '::' && address === '0.0.0.0' && wanted.tcpPort === tcpPort,
    )
    const wanted = attachment.listen.find(
      (one) => one.address === address && one.tcpPort === tcpPort,
    )
    if (wanted === undefined && !standsForAll) return undefined
    listenSocket(fd, this.#options.backlog)
    const zone = interfaceIndex === 0 ? '' : `%${interfaceIndex}`
    return {
      bindingKey: `${standsForAll ? '::' : address}${zone}:${tcpPort}`,
      fd,
      bound: boundText(socket, wanted?.interface ?? interfaceIn(record, socket)),
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
      await clock.sleep(pollPause, this.#closed.signal)
    }
  }
}

const notAdopted = { ok: false, why: 'none of its sockets could be taken over' } as const

function onlyServing(answer: ControlAnswer): ControlAnswer {
  if (!answer.ok || answer.state === 'serving') return answer
  return { ok: false, why: 'no worker accepts on its sockets yet' }
}

/** What Neutron calls the interface, for people. */
function interfaceIn({ listen }: AttachmentRecord, socket: ListeningSocket): string | undefined {
  return listen.find(({ address }) => address === socket.address)?.interface
}

function boundText(
  { address, tcpPort, interfaceIndex }: ListeningSocket,
  onInterface = String(interfaceIndex),
): string {
  return tcpAddressText({
    address,
    tcpPort,
    ...(interfaceIndex !== 0 && { interface: onInterface }),
  })
}
