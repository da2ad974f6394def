import type { Authentication, Named, TokenScope, User } from './authentication.ts'

type Json = Readonly<Record<string, unknown>>
/** The ways to log in that need Keystone. */
export type KeystoneAuthentication = Exclude<Authentication, { kind: 'none' }>

function domainOf(domain: Named | undefined): Json {
  return domain === undefined ? {} : { domain }
}

function userOf(as: User): Json {
  return { ...as.user, ...('name' in as.user ? domainOf(as.domain) : {}) }
}

function scopeOf(scope: TokenScope): Json {
  switch (scope.kind) {
    case 'project':
      return {
        scope: {
          project: {
            ...scope.project,
            ...('name' in scope.project ? domainOf(scope.domain) : {}),
          },
        },
      }
    case 'domain':
      return { scope: { domain: scope.domain } }
    case 'system':
      return { scope: { system: { all: true } } }
    case 'default':
      return {}
    default: {
      const never: never = scope
      return never
    }
  }
}

function identityOf(authentication: KeystoneAuthentication): Json {
  switch (authentication.kind) {
    case 'password': {
      const user = { ...userOf(authentication.as), password: authentication.password.reveal() }
      return { methods: ['password'], password: { user } }
    }
    case 'application-credential': {
      const { credential, as, secret } = authentication
      return {
        methods: ['application_credential'],
        application_credential: {
          ...credential,
          secret: secret.reveal(),
          ...('name' in credential && as !== undefined && { user: userOf(as) }),
        },
      }
    }
    case 'token':
      return { methods: ['token'], token: { id: authentication.token.reveal() } }
    default: {
      const never: never = authentication
      return never
    }
  }
}

/**
 * The body of `POST /v3/auth/tokens`. An application credential carries its own scope and must not be given another.
 * It holds the password: never log it.
 */
export function tokenRequest(authentication: KeystoneAuthentication): string {
  const scope =
    authentication.kind === 'application-credential' ? {} : scopeOf(authentication.scope)
  return JSON.stringify({ auth: { identity: identityOf(authentication), ...scope } })
}

/** The v3 URL for tokens, from what operators write: with or without `/v3`, with the old `/v2.0`, with a slash at the end. */
export function tokenUrl(authUrl: string): string {
  const base = authUrl.replace(/\/+$/, '').replace(/\/v(?:2\.0|3)$/, '')
  return `${base}/v3/auth/tokens`
}
