import { scopeText } from '../../lib/identity/scope.ts'
import type { Peer } from '../peers/lookup-key.ts'
import type { LookupKey } from '../resolve/resolution.ts'

/** On whose account something is held, as far as it is known before a request is resolved. */
export interface RequestHolder {
  /** The name of a certificate, or one word for all who connect on this host. */
  readonly peer: string
  /** Empty before the request has named it, as `source` is. */
  readonly scope: string
  readonly source: string
}

/** No name in a certificate can be this. */
const thisHost = '(this host)'

/** @param key `undefined` before it is read */
export function holderOf(peer: Peer, key: LookupKey | undefined): RequestHolder {
  return {
    peer: (peer.kind === 'overlapd' ? peer.proxy?.name : undefined) ?? thisHost,
    scope: key === undefined ? '' : scopeText(key.scope),
    source: key?.sourceIp ?? '',
  }
}
