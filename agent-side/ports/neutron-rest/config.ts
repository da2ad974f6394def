import type { Bytes, Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import type { Secret } from '../../../lib/runtime/secret.ts'

/** A Keystone thing, named by its id or by its name. */
export type Named = { readonly id: string } | { readonly name: string }

/** What a token is to be good for. Reading the ports of all projects needs a role that Neutron's policy gives this right. */
export type Scope =
  | {
      readonly kind: 'project'
      readonly project: Named
      /** Needed with a project's name only. */
      readonly domain?: Named
    }
  | { readonly kind: 'domain'; readonly domain: Named }
  | { readonly kind: 'system' }
  /** Whatever Keystone gives: the user's default project, or what the credential was made for. */
  | { readonly kind: 'default' }

/** Who logs in. */
export interface User {
  readonly user: Named
  /** Needed with a user's name only. */
  readonly domain?: Named
}

/**
 * How overlapd says who it is.
 * @see https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management
 */
export type Authentication =
  /** For laboratories: `auth_strategy = noauth` in Neutron. Needs {@link NeutronRestConfig.endpoint}. */
  | { readonly kind: 'none' }
  | {
      readonly kind: 'password'
      readonly authUrl: string
      readonly as: User
      readonly password: Secret
      readonly scope: Scope
    }
  | {
      readonly kind: 'application-credential'
      readonly authUrl: string
      readonly credential: Named
      /** Needed with the credential's name only. */
      readonly as?: User
      readonly secret: Secret
    }
  | {
      readonly kind: 'token'
      readonly authUrl: string
      readonly token: Secret
      readonly scope: Scope
    }

/** Paths of PEM files; they are read when the directory starts. */
export interface ClientTls {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  /** True to believe any certificate. */
  readonly insecure: boolean
}

/** Which of a service's endpoints in the catalog. */
export type EndpointInterface = 'public' | 'internal' | 'admin'

/** Everything the `neutron-rest` directory is told. What each part means to an operator is in README.md. */
export interface NeutronRestConfig {
  readonly authentication: Authentication
  /** URL of Neutron with or without `/v2.0`; absent: taken from Keystone's catalog. */
  readonly endpoint?: string
  readonly region?: string
  readonly endpointInterface: EndpointInterface
  readonly tls: ClientTls
  /** How old an answer may be. */
  readonly maxAge: Milliseconds
  /** How old an answer may be while Neutron cannot be asked. */
  readonly maxStale: Milliseconds
  /** Ports of one network that are fetched at once; a larger network is asked address by address. 0 turns it off. */
  readonly prefetchPorts: Count
  /** Router interfaces that are fetched at once; where there are more, routers are asked by id. 0 turns it off. */
  readonly prefetchRouterInterfaces: Count
  /** Ports kept in memory over all networks. */
  readonly heldPorts: Count
  /** Routers kept in memory. */
  readonly heldRouters: Count
  readonly pageSize: Count
  readonly uriBytes: Bytes
  readonly bodyBytes: Bytes
  /** Requests to Neutron that run at the same time. */
  readonly concurrency: Count
  /** Questions that may wait for an answer; more are refused. */
  readonly queue: Count
  /** How often one request is sent at most, the first time included. */
  readonly attempts: Count
  readonly timeoutConnect: Milliseconds
  readonly timeoutHeaders: Milliseconds
  readonly timeoutBody: Milliseconds
  /** All requests of one question together, waiting included. */
  readonly timeoutQuestion: Milliseconds
}
