import type { ClientTls } from '../http/http.ts'
import { AuthenticationProblem, type Authentication } from './authentication.ts'

/** Which of a service's endpoints in the catalog. */
export type EndpointInterface = 'public' | 'internal' | 'admin'

/** What `clouds.yaml` or the `OS_*` variables hold of one cloud, as far as queries to Neutron need it. */
export interface Cloud {
  readonly authentication: Authentication
  readonly endpoint?: string
  readonly region?: string
  readonly endpointInterface?: EndpointInterface
  readonly tls: ClientTls
}

/** Reads `public`, `internal`, `admin` and the older `publicURL`. @throws {AuthenticationProblem} for anything else */
export function endpointInterfaceFrom(text: string): EndpointInterface {
  const word = text.replace(/URL$/, '')
  if (word === 'public' || word === 'internal' || word === 'admin') return word
  throw new AuthenticationProblem(`interface "${text}" is not one of public, internal, admin`)
}
