/** How does a worker get its leases? */
import { connect, type Socket } from 'node:net'
import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import { JsonLines } from '../../../lib/wire/json-lines.ts'
import {
  leasedHeaderNames,
  leaseLine,
  longestLeaseLine,
  longestSilence,
  readLeaseNews,
  type LeasedConcurrency,
  type LeaseKey,
  type LeaseNews,
  type LeaseRequest,
  type LeasedUse,
} from '../../../lib/wire/lease-messages.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import type { MacAddress } from '../../../lib/identity/mac-address.ts'
import { wireHeaders } from '../../../lib/wire/wire-headers.ts'
import { Backoff } from '../../../lib/runtime/backoff.ts'
import type { GuestPlace } from '../shared/guest-identity.ts'
import type { Lease, LeaseStore } from './lease-store.ts'

export interface LeaseChannelOptions {
  /** Path of the agent's socket for leases. Neutron's own agent has none; then there are no leases, and no complaint. */
  readonly socket: string
  readonly store: LeaseStore
  readonly clock: Clock
  readonly logger: Logger
  /** Called with each heartbeat: how many requests may be on their way to compute. */
  readonly onConcurrency?: (concurrency: LeasedConcurrency) => void
}

interface RequestedLease {
  readonly request: number
  readonly place: GuestPlace
  readonly key: LeaseKey
  readonly at: MonotonicMilliseconds
}

/** Where these values stand in a header set. */
const instancePlace = leasedHeaderNames.indexOf(wireHeaders.instanceId) * 2 + 1
const projectPlace = leasedHeaderNames.indexOf(wireHeaders.tenantId) * 2 + 1
const mostRequestsInFlight: Count = 64
/** Reports that one write takes, since each write is a wake-up of the agent. */
const mostTogether: Count = 32
const mostRefusals: Count = 1_024
/** How long a refusal is taken for an answer to the same guest. */
const refusalHolds: Milliseconds = 1_000
const firstPause: Milliseconds = 100
const longestPause: Milliseconds = 10_000

/** One long-lived connection to the agent of this host, made again whenever it breaks. A break ends every lease. */
export class LeaseChannel {
  readonly #options: LeaseChannelOptions
  /** By place: two MACs at one address are a reason to wait, not to request twice. */
  readonly #requested = new Map<GuestPlace, RequestedLease>()
  /** By place and MAC. */
  readonly #refusedUntil = new Map<string, MonotonicMilliseconds>()
  #socket: Socket | undefined
  readonly #backoff = new Backoff(firstPause, longestPause)
  #lastRequest = 0
  #timer: Cancel | undefined
  #isClosed = false

  constructor(options: LeaseChannelOptions) {
    this.#options = options
    this.#connect()
  }

  /** Wishes for a lease. Whether it comes is not known; the request at hand goes another way. */
  request(place: GuestPlace, key: LeaseKey): void {
    const { store, clock } = this.#options
    if (
      !store.isFresh ||
      this.#requested.size >= mostRequestsInFlight ||
      this.#requested.has(place)
    )
      return
    const at = clock.now()
    const refusedUntil = this.#refusedUntil.get(`${place} ${key.sourceMac}`)
    if (refusedUntil !== undefined && at < refusedUntil) return
    const request = (this.#lastRequest += 1)
    this.#requested.set(place, { request, place, key, at })
    this.#send({ kind: 'request', request, ...key })
  }

  /** A guest has connected from this place: what was requested for another MAC there must not become a lease any more. */
  noteGuest(place: GuestPlace, sourceMac: MacAddress): void {
    this.#options.store.noteGuest(place, sourceMac)
    if (this.#requested.size === 0) return
    if (this.#requested.get(place)?.key.sourceMac !== sourceMac) this.#requested.delete(place)
  }

  /** Compute refused a request under the lease: it ends here and at the agent. */
  stale(lease: Lease): void {
    if (this.#options.store.drop(lease.id)) this.#send({ kind: 'stale', lease: lease.id })
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.()
    this.#socket?.destroy()
    this.#options.store.lost()
  }

  #connect(): void {
    const socket = connect({ path: this.#options.socket })
    const lines = new JsonLines(longestLeaseLine.ofAgent)
    this.#socket = socket
    socket.unref()
    socket.on('error', () => socket.destroy())
    socket.on('end', () => socket.destroy())
    socket.on('close', () => this.#lost(socket))
    socket.on('data', (chunk: Buffer) => {
      if (this.#socket !== socket || socket.destroyed) return
      try {
        for (const value of lines.take(chunk)) {
          const news = readLeaseNews(value)
          if (news === undefined) throw new TypeError('A message means nothing')
          this.#take(news)
        }
      } catch (cause) {
        this.#options.logger.warn({ cause: String(cause) }, 'The agent leases in unknown words')
        this.#lost(socket)
      }
    })
  }

  #take(news: LeaseNews): void {
    const { store, onConcurrency } = this.#options
    switch (news.kind) {
      case 'heartbeat':
        this.#backoff.reset()
        store.heartbeatCame()
        if (news.concurrency !== undefined) onConcurrency?.(news.concurrency)
        this.#watchSilence()
        return
      case 'lease':
      case 'refused':
        this.#answered(news)
        return
      case 'revoke':
        for (const id of news.leases) store.drop(id)
        return
      case 'revoke_all':
        store.dropAll()
        return
      default:
        news satisfies never
    }
  }

  #answered(news: Extract<LeaseNews, { kind: 'lease' | 'refused' }>): void {
    const { store, clock } = this.#options
    // There are few at a time, so that looking through them costs less than a second index.
    const requested = [...this.#requested.values()].find(({ request }) => request === news.request)
    if (requested === undefined) return
    const { place, key, at } = requested
    this.#requested.delete(place)
    if (news.kind === 'refused') {
      if (this.#refusedUntil.size >= mostRefusals) this.#refusedUntil.clear()
      this.#refusedUntil.set(`${place} ${key.sourceMac}`, clock.now() + refusalHolds)
      return
    }
    // An agent that answers about another address than the request named is not to be trusted in anything.
    if (news.upstreams.some(({ headers }) => headers[1] !== key.sourceIp)) {
      throw new TypeError('A lease is for another address')
    }
    const { lease: id, ttl, upstreams } = news
    const headers = upstreams[0]?.headers ?? []
    const { [instancePlace]: instance = '', [projectPlace]: project = '' } = headers
    const { sourceMac } = key
    store.add({ id, place, sourceMac, instance, project, endsAt: at + ttl, upstreams })
  }

  /** Requests were served under a lease. */
  served(uses: readonly LeasedUse[]): void {
    for (let from = 0; from < uses.length; from += mostTogether) {
      this.#send(...uses.slice(from, from + mostTogether))
    }
  }

  #send(...requests: readonly LeaseRequest[]): void {
    const socket = this.#socket
    if (socket === undefined || socket.destroyed) return
    socket.write(requests.map(leaseLine).join(''))
    if (socket.writableLength > mostRequestsInFlight * longestLeaseLine.ofWorker) this.#lost(socket)
  }

  /** A connection on which nothing comes any more is as good as broken. */
  #watchSilence(): void {
    const socket = this.#socket
    this.#timer?.()
    this.#timer = this.#options.clock.schedule(longestSilence, () => {
      if (socket !== undefined) this.#lost(socket)
    })
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return
    this.#socket = undefined
    socket.destroy()
    this.#options.store.lost()
    this.#requested.clear()
    this.#refusedUntil.clear()
    this.#timer?.()
    if (this.#isClosed) return
    this.#timer = this.#options.clock.schedule(this.#backoff.next(), () => this.#connect())
  }
}
