/** How do operators see events as they happen, and what if they do not keep up? Server-sent events, as any browser reads them. */
import type { Bytes, Cancel, Clock, Count, Milliseconds } from '../runtime/clock.ts'

export interface EventFeedOptions {
  readonly clock: Clock
  /** Streams at one time. @default 16 */
  readonly most?: Count
  /** Called when the first watcher came, or the last one left. */
  readonly onWatched?: (isWatched: boolean) => void
}

interface Watcher<Event> {
  readonly isWanted: (event: Event) => boolean
  readonly controller: ReadableStreamDefaultController<Uint8Array>
}

const mostWatchers: Count = 16
/** What may wait for one reader; some thousand events. */
const mostUnread: Bytes = 1024 * 1024
/** A comment now and then shows a connection that is gone, and keeps those between from closing a quiet one. */
const heartbeat: Milliseconds = 15_000

/** Sends events to clients that watch; costs nothing without one, and waits for none. */
export class EventFeed<Event> {
  readonly #options: EventFeedOptions
  readonly #watchers = new Set<Watcher<Event>>()
  readonly #encoder = new TextEncoder()
  #stopBeating: Cancel | undefined
  #sequence: Count = 0
  #dropped: Count = 0

  constructor(options: EventFeedOptions) {
    this.#options = options
  }

  /** Callers look before they make an event. */
  get isWatched(): boolean {
    return this.#watchers.size > 0
  }

  get watchers(): Count {
    return this.#watchers.size
  }

  /** Streams that were ended since their reader was too slow. */
  get dropped(): Count {
    return this.#dropped
  }

  /** Sends an event to each watcher that wants it: `event: request`, an id, and `data:` with JSON on one line.
   * A stream begins with `event: watching`. */
  publish(event: Event): void {
    this.#sequence += 1
    let chunk: Uint8Array | undefined
    for (const watcher of this.#watchers) {
      if (!watcher.isWanted(event)) continue
      chunk ??= this.#chunk('request', event)
      this.#send(watcher, chunk)
    }
  }

  /** Reports that so many events could not be sent to a watcher. */
  missed(count: Count): void {
    const chunk = this.#chunk('missed', { count })
    for (const watcher of this.#watchers) this.#send(watcher, chunk)
  }

  /** A stream of the events that are wanted, as an answer; `undefined` when there are too many streams. */
  watch(isWanted: (event: Event) => boolean): Response | undefined {
    if (this.#watchers.size >= (this.#options.most ?? mostWatchers)) return undefined
    let watcher: Watcher<Event> | undefined
    const stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          watcher = { isWanted, controller }
          this.#watchers.add(watcher)
          // The head goes out with the first bytes: a client that watches must see that it does.
          controller.enqueue(this.#chunk('watching', {}))
        },
        cancel: () => {
          if (watcher !== undefined) this.#forget(watcher)
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: mostUnread }),
    )
    if (this.#watchers.size === 1) this.#begin()
    return new Response(stream, {
      headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
    })
  }

  /** Ends all streams. */
  close(): void {
    for (const watcher of this.#watchers) {
      this.#forget(watcher)
      watcher.controller.close()
    }
  }

  #chunk(kind: string, data: unknown): Uint8Array {
    const text = `event: ${kind}\nid: ${this.#sequence}\ndata: ${JSON.stringify(data)}\n\n`
    return this.#encoder.encode(text)
  }

  #send(watcher: Watcher<Event>, chunk: Uint8Array): void {
    const { controller } = watcher
    if ((controller.desiredSize ?? 0) >= chunk.length) {
      controller.enqueue(chunk)
      return
    }
    this.#dropped += 1
    this.#forget(watcher)
    controller.error(new Error('the reader is too slow'))
  }

  #forget(watcher: Watcher<Event>): void {
    if (!this.#watchers.delete(watcher) || this.#watchers.size > 0) return
    this.#stopBeating?.()
    this.#options.onWatched?.(false)
  }

  #begin(): void {
    this.#options.onWatched?.(true)
    this.#beat()
  }

  #beat(): void {
    this.#stopBeating = this.#options.clock.schedule(heartbeat, () => {
      const chunk = this.#encoder.encode(': still here\n\n')
      for (const watcher of this.#watchers) this.#send(watcher, chunk)
      if (this.isWatched) this.#beat()
    })
  }
}
