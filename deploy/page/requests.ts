/** What did guests get since the page is open? Both daemons' streams as one, remembered within bounds. */
import { setTimeout as delay } from 'node:timers/promises'
import { daemons } from '../../lib/cli/admin-sockets.ts'
import type { Daemon } from '../../lib/config/defaults.ts'
import { isMapping } from '../../lib/runtime/mapping.ts'
import { AdminUnreachableError } from '../../lib/http/admin-client.ts'
import { readEvents } from '../../lib/http/event-reader.ts'
import { RingBuffer } from '../../lib/observe/ring-buffer.ts'
import { textOf } from '../../lib/operator/answer-fields.ts'
import { isRefusal, type RequestEvent } from '../../lib/operator/request-event.ts'
import { WatchedRequests } from '../../lib/operator/watched-requests.ts'
import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { AdminAddresses } from './host.ts'

/** A request, as far as it can be read: a daemon may be of another version. */
export type SeenRequest = Pick<
  RequestEvent,
  'at' | 'requestId' | 'method' | 'target' | 'status' | 'span'
> & {
  readonly scope: string
  readonly sourceIp: string
  readonly instanceId: string
  readonly outcome: string
  readonly reason: string
}

/** Who is to know at once. */
export interface RequestWatcher {
  onRequest(request: SeenRequest): void
  /** So many are over that a daemon could not report. */
  onMissed(count: Count): void
}

const remembered: Count = 2_000
const mostGuests: Count = 20_000
/** A daemon that was away is queried again so much later. */
const pause: Milliseconds = 2_000

/** Whether a request got what it wanted. */
export function isServed({ outcome, status }: Pick<SeenRequest, 'outcome' | 'status'>): boolean {
  return outcome === 'relayed' && status < 400
}

/** Whether compute knew the guest, and had nothing under that path: cloud-init tries paths. */
export function isNotThere({ outcome, status }: Pick<SeenRequest, 'outcome' | 'status'>): boolean {
  return outcome === 'relayed' && status === 404
}

/** Reads both streams for as long as the page is served. */
export class Requests {
  readonly #addresses: AdminAddresses
  readonly #watcher: RequestWatcher
  readonly #watched = new WatchedRequests()
  readonly #latest = new RingBuffer<SeenRequest>(remembered)
  readonly #latestRefused = new RingBuffer<SeenRequest>(remembered)
  readonly #byGuest = new Map<string, SeenRequest>()

  constructor(addresses: AdminAddresses, watcher: RequestWatcher) {
    this.#addresses = addresses
    this.#watcher = watcher
  }

  /** @returns when the signal ends it */
  async watch(signal: AbortSignal): Promise<void> {
    await Promise.all(daemons.map((daemon) => this.#watchDaemon(daemon, signal)))
  }

  /** The newest first. */
  latest(count: Count, onlyRefused: boolean): readonly SeenRequest[] {
    return (onlyRefused ? this.#latestRefused : this.#latest).newest(count)
  }

  /** What the guest got last. */
  lastOf(scope: string, address: string): SeenRequest | undefined {
    return this.#byGuest.get(`${scope} ${address}`)
  }

  /** Remembers a request, and reports it. */
  add(request: SeenRequest): void {
    this.#latest.add(request)
    if (isRefusal(request)) this.#latestRefused.add(request)
    const guest = `${request.scope} ${request.sourceIp}`
    this.#byGuest.delete(guest)
    this.#byGuest.set(guest, request)
    const [oldest] = this.#byGuest.keys()
    if (this.#byGuest.size > mostGuests && oldest !== undefined) this.#byGuest.delete(oldest)
    this.#watcher.onRequest(request)
  }

  async #watchDaemon(daemon: Daemon, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const { kind, data } of readEvents(this.#addresses[daemon], '/events', signal)) {
          if (kind === 'watching') this.#watched.watches(daemon)
          else if (kind === 'request' && isMapping(data) && this.#watched.isNew(daemon, data)) {
            this.add(readRequest(data))
          } else if (kind === 'missed' && isMapping(data)) {
            this.#watcher.onMissed(Number(data['count']) || 0)
          }
        }
      } catch (thrown) {
        if (!(thrown instanceof AdminUnreachableError)) throw thrown
      }
      this.#watched.leaves(daemon)
      await delay(pause, undefined, { signal }).catch(() => undefined)
    }
  }
}

/** Reads an event of `/events`, or a refusal of the agent's `/status`. */
export function readRequest(data: Readonly<Record<string, unknown>>): SeenRequest {
  const { status, span } = data
  return {
    at: textOf(data['at']),
    requestId: textOf(data['requestId']),
    method: textOf(data['method']),
    target: textOf(data['target']),
    scope: textOf(data['scope']),
    sourceIp: textOf(data['sourceIp']),
    instanceId: textOf(data['instanceId']),
    outcome: textOf(data['outcome']),
    reason: textOf(data['reason']),
    status: typeof status === 'number' ? status : 0,
    span: typeof span === 'number' ? span : 0,
  }
}
