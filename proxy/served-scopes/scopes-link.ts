/** How does one agent receive which scopes this host serves? */
import { connect, type Socket } from 'node:net'
import type { Cancel, Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { JsonLineChannel } from '../../lib/wire/json-line-channel.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { ScopeText } from '../../lib/identity/scope.ts'
import {
  longestScopesLine,
  readScopesReceipt,
  scopesReports,
} from '../../lib/wire/served-scopes.ts'
import { Backoff } from '../../lib/runtime/backoff.ts'

/** How one agent stands, for status. */
export interface ScopesLinkStatus {
  /** Path of the agent's socket for reports. */
  readonly socket: string
  /** `accepted`: the agent counts the list. `absent`: no such agent, or an older or foreign one. */
  readonly state: 'accepted' | 'pending' | 'absent' | 'refused'
  /** Of the list that counts. */
  readonly scopes: Count
  readonly why?: string
}

export interface ScopesLinkOptions {
  readonly socket: string
  /** The account of the workers. */
  readonly workers: number
  /** What is served now; `undefined` before the first look at the namespaces. */
  readonly scopes: () => ReadonlySet<ScopeText> | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** Short: an agent that was started again answers less until it has the list. */
const firstPause: Milliseconds = 50
const longestPause: Milliseconds = 1_000

/** How an older or foreign agent is recognised: it has no such socket. */
const absentCodes: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED'])

/** One long-lived connection to one agent, made again whenever it breaks. Each begins with the whole list. */
export class ScopesLink {
  readonly #options: ScopesLinkOptions
  readonly #backoff = new Backoff(firstPause, longestPause)
  #channel: JsonLineChannel | undefined
  /** Whether the agent has been sent the whole list on this connection. */
  #hasList = false
  #accepted: Count | undefined
  #trouble: { readonly state: 'absent' | 'refused'; readonly why: string } | undefined
  #retry: Cancel | undefined
  #socket: Socket | undefined
  #isClosed = false

  constructor(options: ScopesLinkOptions) {
    this.#options = options
  }

  get status(): ScopesLinkStatus {
    const { socket, scopes } = this.#options
    if (this.#accepted !== undefined) {
      return { socket, state: 'accepted', scopes: scopes()?.size ?? 0 }
    }
    return { socket, state: 'pending', scopes: 0, ...this.#trouble }
  }

  start(): void {
    this.#connect()
  }

  /** The list has changed; before the first change it is sent whole. */
  changed(added: readonly ScopeText[], removed: readonly ScopeText[]): void {
    if (!this.#hasList) {
      this.#sendList()
      return
    }
    for (const report of scopesReports('remove', removed)) this.#channel?.send(report)
    for (const report of scopesReports('add', added)) this.#channel?.send(report)
  }

  close(): void {
    this.#isClosed = true
    this.#retry?.()
    this.#socket?.destroy()
    this.#channel?.close()
  }

  #connect(): void {
    const { socket: path, clock } = this.#options
    const socket = connect({ path })
    this.#socket = socket
    socket.unref()
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (this.#channel !== undefined) return
      const isAbsent = absentCodes.has(error.code ?? '')
      this.#lost(isAbsent ? 'absent' : 'refused', error.code ?? error.message)
    })
    socket.once('connect', () => {
      this.#channel = new JsonLineChannel({
        input: socket,
        output: socket,
        longestLine: longestScopesLine,
        clock,
        onValue: (value) => this.#received(value),
        onEnd: (breach) => this.#ended(breach),
      })
      this.#sendList()
    })
  }

  #sendList(): void {
    const { scopes, workers } = this.#options
    const list = scopes()
    if (this.#channel === undefined || list === undefined) return
    this.#hasList = true
    this.#channel.send({ kind: 'begin', workers })
    for (const report of scopesReports('add', [...list])) this.#channel.send(report)
    this.#channel.send({ kind: 'complete' })
  }

  #received(value: unknown): void {
    const receipt = readScopesReceipt(value)
    if (receipt === undefined) {
      this.#channel?.close()
      this.#ended('nonsense')
      return
    }
    const { socket, logger } = this.#options
    this.#accepted = receipt.scopes
    this.#trouble = undefined
    this.#backoff.reset()
    logger.info({ socket, scopes: receipt.scopes }, 'The agent fences workers to these scopes')
  }

  #ended(breach: string | undefined): void {
    const wasAccepted = this.#accepted !== undefined
    this.#channel = undefined
    this.#hasList = false
    this.#accepted = undefined
    if (breach !== undefined) this.#lost('refused', breach)
    else if (wasAccepted) this.#lost('absent', 'the agent has ended the connection')
    else
      this.#lost('refused', 'the agent takes no report from this account; the reason is in its log')
  }

  #lost(state: 'absent' | 'refused', why: string): void {
    if (this.#isClosed) return
    const { clock, logger, socket } = this.#options
    if (this.#trouble?.why !== why) {
      const level = state === 'absent' ? 'debug' : 'warn'
      logger[level]({ socket, why }, 'The agent does not receive which scopes are served')
    }
    this.#trouble = { state, why }
    this.#retry = clock.schedule(this.#backoff.next(), () => this.#connect())
  }
}
