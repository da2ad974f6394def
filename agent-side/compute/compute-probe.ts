/** Is the compute metadata API there while no guest asks? */
import { jittered } from '../../lib/runtime/backoff.ts'
import type { Cancel, Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { attempt } from './attempt.ts'
import type { Downstream } from './exchange.ts'
import { noteHealth } from './note-health.ts'
import type { Upstream, Upstreams } from './upstreams.ts'

/** After the start guests may be the first to ask. */
const firstLook: Milliseconds = 3_000
const interval: Milliseconds = 5_000

/** Takes an answer that nobody waits for. */
const nobody: Downstream = {
  start: () => undefined,
  write: () => true,
  end: () => undefined,
  destroy: () => undefined,
  onceDrained: (resume) => resume(),
  isGone: false,
  onGone: () => () => undefined,
}

/**
 * Asks each endpoint for \`/\`, which Nova answers to everybody without a signature, when nothing was heard of it for long, or when
 * it looked down and its pause is over. So health is true without guests, and an endpoint that is back is known.
 * @see nova/api/metadata/handler.py MetadataRequestHandler
 */
export class ComputeProbe {
  readonly #upstreams: Upstreams
  readonly #clock: Clock
  readonly #longestSilence: Milliseconds
  readonly #asked = new Set<Upstream>()
  #cancel: Cancel | undefined

  /** @param longestSilence after which an endpoint is asked; 0: none is */
  constructor(upstreams: Upstreams, clock: Clock, longestSilence: Milliseconds) {
    this.#upstreams = upstreams
    this.#clock = clock
    this.#longestSilence = longestSilence
  }

  start(): void {
    if (this.#longestSilence > 0) this.#lookIn(firstLook)
  }

  close(): void {
    this.#cancel?.()
  }

  #lookIn(span: Milliseconds): void {
    this.#cancel = this.#clock.schedule(jittered(span), () => {
      for (const upstream of this.#upstreams.all) this.#look(upstream)
      this.#lookIn(interval)
    })
  }

  #look(upstream: Upstream): void {
    const { state } = upstream.health
    const isSilent = this.#clock.now() - upstream.heardAt >= this.#longestSilence
    if (this.#asked.has(upstream) || state === 'down' || (state === 'up' && !isSilent)) return
    this.#asked.add(upstream)
    void this.#ask(upstream).finally(() => this.#asked.delete(upstream))
  }

  async #ask(upstream: Upstream): Promise<void> {
    const end = upstream.health.begin()
    const request = { method: 'GET', target: '/' }
    const outcome = await attempt(upstream, {
      request,
      headers: [],
      downstream: nobody,
      keeps: () => true,
    })
    end()
    if (!this.#upstreams.isClosed) noteHealth(this.#upstreams, upstream, outcome)
  }
}
