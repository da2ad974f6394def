/** Is the compute metadata API there, and has it our secret, while no guest sends anything? */
import { jittered } from '../../lib/runtime/backoff.ts'
import type { InstanceId, ProjectId } from '../../lib/identity/ids.ts'
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import type { Cancel, Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { attempt, type AttemptOutcome } from './attempt.ts'
import type { Downstream, FlatHeaders } from './exchange.ts'
import { noteHealth } from './note-health.ts'
import type { SecretAcceptance } from './secret-acceptance.ts'
import type { RequestSigner, SignedIdentity } from './signed-headers.ts'
import type { Upstream, Upstreams } from './upstreams.ts'

/** After the start guests may be the first. */
const firstLook: Milliseconds = 3_000
const interval: Milliseconds = 5_000

/** Takes an answer that no guest waits for. */
const discards: Downstream = {
  start: () => undefined,
  write: () => true,
  end: () => undefined,
  destroy: () => undefined,
  onceDrained: (resume) => resume(),
  isGone: false,
  onGone: () => () => undefined,
}

/** An instance that no cloud has. Nova compares the signature before it looks for the instance. */
const nobodysInstance = {
  instanceId: '00000000-0000-0000-0000-000000000000' as InstanceId,
  projectId: '00000000000000000000000000000000' as ProjectId,
  sourceIp: '127.0.0.1' as IpAddress,
} satisfies SignedIdentity

export interface ComputeProbeOptions {
  readonly upstreams: Upstreams
  readonly signer: RequestSigner
  readonly secrets: Pick<SecretAcceptance, 'note'>
  readonly clock: Clock
  /** After which an endpoint is queried; 0: none is. */
  readonly longestSilence: Milliseconds
}

/**
 * Queries each endpoint for `/`, which Nova answers without a signature, when nothing came from it for long, or when
 * it looked down and its pause is over. So health is true without guests, and an endpoint that is back is known.
 *
 * Where no guest has shown yet whether an endpoint has our secret, it is queried once for an instance that there is none of: 404 after a
 * signature that it accepts, 403 otherwise. As long as it refuses, that is repeated. Nova logs a line for each.
 * @see nova/api/metadata/handler.py MetadataRequestHandler
 */
export class ComputeProbe {
  readonly #options: ComputeProbeOptions
  readonly #queried = new Set<Upstream>()
  readonly #queriedSigned = new Set<Upstream>()
  #cancel: Cancel | undefined

  constructor(options: ComputeProbeOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#options.longestSilence > 0) this.#lookIn(firstLook)
  }

  close(): void {
    this.#cancel?.()
  }

  #lookIn(span: Milliseconds): void {
    const { clock, upstreams } = this.#options
    this.#cancel = clock.schedule(jittered(span), () => {
      for (const upstream of upstreams.all) this.#look(upstream)
      this.#lookIn(interval)
    })
  }

  #look(upstream: Upstream): void {
    const { clock, longestSilence } = this.#options
    const { state } = upstream.health
    const isSilent = clock.now() - upstream.receivedAt >= longestSilence
    if (this.#queried.has(upstream) || state === 'down' || (state === 'up' && !isSilent)) return
    this.#queried.add(upstream)
    void this.#query(upstream).finally(() => this.#queried.delete(upstream))
  }

  async #query(upstream: Upstream): Promise<void> {
    const { upstreams } = this.#options
    const end = upstream.health.begin()
    const outcome = await query(upstream, '/', [])
    end()
    if (upstreams.isClosed) return
    noteHealth(upstreams, upstream, outcome)
    const isKnown = upstream.hasTakenSecret || this.#queriedSigned.has(upstream)
    const hasAnswered = outcome.kind === 'relayed' || outcome.kind === 'kept'
    if (hasAnswered && (upstream.hasRefusedSecrets || !isKnown)) await this.#querySigned(upstream)
  }

  async #querySigned(upstream: Upstream): Promise<void> {
    const { upstreams, signer, secrets } = this.#options
    this.#queriedSigned.add(upstream)
    const slot = upstream.secretSlot
    for (const one of [slot, signer.otherThan(slot)]) {
      if (one === undefined) return
      const headers = signer.headersFor(nobodysInstance, one)
      const outcome = await query(upstream, '/openstack', headers)
      if (upstreams.isClosed) return
      const isRefused = 'status' in outcome && outcome.status === 403
      const isLast = one !== slot || signer.otherThan(slot) === undefined
      if (!isRefused || isLast) {
        secrets.note(upstream, outcome, one)
        return
      }
    }
  }
}

function query(upstream: Upstream, target: string, headers: FlatHeaders): Promise<AttemptOutcome> {
  const request = { method: 'GET', target }
  // A connection that the endpoint has closed in its idle time shows nothing of the endpoint.
  const isAfresh = true
  return attempt(upstream, { request, headers, downstream: discards, keeps: () => true, isAfresh })
}
