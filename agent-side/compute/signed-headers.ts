import type { InstanceId, ProjectId } from '../../lib/identity/ids.ts'
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import type { Secret } from '../../lib/runtime/secret.ts'
import { signInstanceId } from '../../lib/wire/signature.ts'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import type { FlatHeaders } from './exchange.ts'

/** What compute gets to know about the guest. */
export interface SignedIdentity {
  readonly instanceId: InstanceId
  readonly projectId: ProjectId
  readonly sourceIp: IpAddress
}

/** Which of two secrets: during a rotation some endpoints have one and some the other. */
export type SecretSlot = 'current' | 'next'

/** One secret, or two while it is being changed. */
export interface SharedSecrets {
  readonly current: Secret
  readonly next?: Secret | undefined
}

/**
 * Makes the four headers that Nova trusts, from nothing. They depend on the identity alone, so they are kept
 * beside the identity object and live exactly as long.
 * @see nova/api/metadata/handler.py, `service_metadata_proxy`
 */
export class RequestSigner {
  readonly #secrets: SharedSecrets
  readonly #headers = {
    current: new WeakMap<SignedIdentity, FlatHeaders>(),
    next: new WeakMap<SignedIdentity, FlatHeaders>(),
  }

  constructor(secrets: SharedSecrets) {
    this.#secrets = secrets
  }

  get slots(): readonly SecretSlot[] {
    return this.#secrets.next === undefined ? ['current'] : ['current', 'next']
  }

  /** The other secret, if there are two. */
  otherThan(slot: SecretSlot): SecretSlot | undefined {
    return this.slots.find((one) => one !== slot)
  }

  headersFor(identity: SignedIdentity, slot: SecretSlot): FlatHeaders {
    const known = this.#headers[slot].get(identity)
    if (known !== undefined) return known
    const secret = this.#secrets[slot]
    if (secret === undefined) throw new TypeError(`There is no ${slot} secret`)
    const headers = [
      wireHeaders.forwardedFor,
      identity.sourceIp,
      wireHeaders.instanceId,
      identity.instanceId,
      wireHeaders.tenantId,
      identity.projectId,
      wireHeaders.instanceIdSignature,
      signInstanceId(secret, identity.instanceId),
    ]
    this.#headers[slot].set(identity, headers)
    return headers
  }
}
