import type { ServerResponse } from 'node:http'
import { RecordingUpstream, type UpstreamRequest } from './recording-upstream.ts'

interface Held {
  readonly instanceId: string
  readonly target: string
  readonly response: ServerResponse
}

/**
 * A compute metadata API that answers when the test says so, and knows how many requests it had at a time: how slow it is
 * takes no time to show.
 */
export class GatedUpstream {
  readonly #upstream: RecordingUpstream
  readonly #held: Held[] = []
  #wake: (() => void) | undefined
  /** The most requests that were there at the same time. */
  most = 0
  /** Who was served, by what the request said: its instance id. */
  readonly served: string[] = []

  private constructor(upstream: RecordingUpstream) {
    this.#upstream = upstream
    upstream.answer = (request, response) => this.#hold(request, response)
  }

  static async start(): Promise<GatedUpstream> {
    return new GatedUpstream(await RecordingUpstream.start())
  }

  get url(): string {
    return this.#upstream.url
  }

  /** How many wait for their answers. */
  get held(): number {
    return this.#held.length
  }

  /** Resolves when so many requests wait for their answers. */
  async holding(count: number): Promise<void> {
    while (this.#held.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Answers the request that has waited longest, with its instance id. */
  release(status = 200): void {
    const held = this.#held.shift()
    if (held === undefined) throw new TypeError('Nothing waits for an answer')
    this.served.push(held.instanceId)
    held.response.writeHead(status, { 'content-type': 'text/plain' }).end(held.instanceId)
  }

  /** Answers one after the other until so many have been served in all. */
  async releaseUntil(count: number): Promise<void> {
    while (this.served.length < count) {
      await this.holding(1)
      this.release()
    }
  }

  async close(): Promise<void> {
    await this.#upstream.close()
  }

  #hold(request: UpstreamRequest, response: ServerResponse): void {
    const instanceId = String(request.headers['x-instance-id'])
    this.#held.push({ instanceId, target: request.target, response })
    this.most = Math.max(this.most, this.#held.length)
    this.#wake?.()
  }
}
