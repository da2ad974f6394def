import type { Count } from '../../lib/runtime/clock.ts'
import type { LeaseUpstream } from '../../lib/wire/lease-messages.ts'
import type { RequestSigner, SignedIdentity } from './signed-headers.ts'
import type { Upstreams, UpstreamsOptions, UpstreamTls } from './upstreams.ts'

/** What holds for every endpoint. */
export type UpstreamTerms = UpstreamTls & Pick<UpstreamsOptions, 'timeoutHeaders' | 'timeoutBody'>

/** A worker that has tried so many goes over the agent, which tries the rest. */
const mostOffered: Count = 4

/**
 * What a worker needs to forward for an identity by itself: the endpoints in the order in which the agent would try them, without
 * those that look down or refuse our secrets, each with the headers signed with the secret it last took and with our patience. Files are named, not
 * read; a client certificate's key never leaves the agent, so with one there is nothing to offer.
 */
export function leaseTerms(
  upstreams: Upstreams,
  signer: RequestSigner,
  terms: UpstreamTerms,
  identity: SignedIdentity,
): readonly LeaseUpstream[] {
  const { keyFile, caFile, insecure, timeoutHeaders, timeoutBody } = terms
  if (keyFile !== undefined || upstreams.isClosed) return []
  return upstreams
    .inOrder()
    .filter(({ health, hasRefusedSecrets }) => health.state === 'up' && !hasRefusedSecrets)
    .slice(0, mostOffered)
    .map(({ url, secretSlot }) => ({
      url,
      insecure,
      headers: signer.headersFor(identity, secretSlot),
      timeoutHeaders,
      timeoutBody,
      ...(caFile !== undefined && { caFile }),
    }))
}
