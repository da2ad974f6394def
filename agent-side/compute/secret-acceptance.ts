/** Which of our secrets does an endpoint take? As its answers to signed requests show. */
import type { Clock, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { AttemptOutcome } from './attempt.ts'
import type { RequestSigner, SecretSlot } from './signed-headers.ts'
import type { Upstream } from './upstreams.ts'

export interface SecretAcceptanceOptions {
  readonly signer: RequestSigner
  readonly clock: Clock
  readonly logger: Logger
}

/** An operator who has not seen the first warning will not see the second sooner. */
const mismatchLogPause: Milliseconds = 60_000

/** Notes it at the endpoint, and logs what changes. */
export class SecretAcceptance {
  readonly #options: SecretAcceptanceOptions
  readonly #mismatchLogged = new Map<Upstream, MonotonicMilliseconds>()

  constructor(options: SecretAcceptanceOptions) {
    this.#options = options
  }

  /** @param slot of the secret that the request was signed with; the last one that is tried */
  note(upstream: Upstream, outcome: AttemptOutcome, slot: SecretSlot): void {
    if (outcome.kind !== 'relayed' && outcome.kind !== 'kept') return
    const { clock, logger, signer } = this.#options
    if (outcome.status !== 403) {
      // Only an answer that Nova gives after looking at the signature shows which secret it has.
      if (outcome.status >= 400 && outcome.status !== 404) return
      upstream.hasTakenSecret = true
      upstream.hasRefusedSecrets = false
      if (upstream.secretSlot === slot) return
      upstream.secretSlot = slot
      logger.info(
        { upstream: upstream.url, secret: slot },
        'Compute upstream takes the other secret',
      )
      return
    }
    upstream.hasRefusedSecrets = true
    const logged = this.#mismatchLogged.get(upstream)
    if (logged !== undefined && clock.now() - logged < mismatchLogPause) return
    this.#mismatchLogged.set(upstream, clock.now())
    logger.warn(
      { upstream: upstream.url, secretsTried: signer.slots },
      'Compute refuses our signature: the shared secrets probably differ',
    )
  }
}
