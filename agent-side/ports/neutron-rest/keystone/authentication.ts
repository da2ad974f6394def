import { Secret } from '../../../../lib/runtime/secret.ts'

/** A Keystone thing, named by its id or by its name. */
export type Named = { readonly id: string } | { readonly name: string }

/** What a token is to be good for. Reading the ports of all projects needs a role that Neutron's policy gives this right. */
export type TokenScope =
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
 * How overlapd logs in.
 * @see https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management
 */
export type Authentication =
  /** For laboratories: `auth_strategy = noauth` in Neutron. Needs the option `endpoint`. */
  | { readonly kind: 'none' }
  | {
      readonly kind: 'password'
      readonly authUrl: string
      readonly as: User
      readonly password: Secret
      readonly scope: TokenScope
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
      readonly scope: TokenScope
    }

/** The names keystoneauth gives to what a plugin needs, as in `clouds.yaml` and, in capitals after `OS_`, in the environment. */
export type AuthenticationValues = Readonly<Record<string, string | undefined>>

/** A value that is missing or wrong; for the operator, without the value. */
export class AuthenticationProblem extends Error {
  override readonly name = 'AuthenticationProblem'
}

function named(values: AuthenticationValues, what: string): Named | undefined {
  const { [`${what}_id`]: id, [`${what}_name`]: name } = values
  if (id !== undefined) return { id }
  return name === undefined ? undefined : { name }
}

function domainFor(values: AuthenticationValues, what: 'user' | 'project'): Named | undefined {
  return named(values, `${what}_domain`) ?? named(values, 'default_domain')
}

function need<Value>(value: Value | undefined, names: string): Value {
  if (value === undefined) throw new AuthenticationProblem(`${names} is missing`)
  return value
}

function userOf(values: AuthenticationValues): User {
  const { user_id: id, username: name } = values
  if (id !== undefined) return { user: { id } }
  const user = { name: need(name, 'username or user_id') }
  return { user, domain: need(domainFor(values, 'user'), 'user_domain_name or user_domain_id') }
}

function scopeOf(values: AuthenticationValues): TokenScope {
  if (values['system_scope'] !== undefined) return { kind: 'system' }
  const project = named(values, 'project')
  if (project !== undefined) {
    if ('id' in project) return { kind: 'project', project }
    const domain = need(domainFor(values, 'project'), 'project_domain_name or project_domain_id')
    return { kind: 'project', project, domain }
  }
  const domain = named(values, 'domain')
  return domain === undefined ? { kind: 'default' } : { kind: 'domain', domain }
}

/** Old words that the SDKs still take. */
function modern(values: AuthenticationValues): AuthenticationValues {
  return {
    ...values,
    project_id: values['project_id'] ?? values['tenant_id'],
    project_name: values['project_name'] ?? values['tenant_name'],
    username: values['username'] ?? values['user_name'],
  }
}

/** Without a type, as the SDKs do: what is there decides. */
function guessedType(values: AuthenticationValues): string {
  const { application_credential_id: id, application_credential_name: name } = values
  if (id !== undefined || name !== undefined) return 'v3applicationcredential'
  return values['token'] === undefined ? 'password' : 'token'
}

/**
 * Makes an {@link Authentication} of what OpenStack's clients are configured with.
 * @param type keystoneauth's plugin: `password`, `v3applicationcredential`, `token`, `none`, …
 * @throws {AuthenticationProblem} when a value is missing or the plugin is none we know
 */
export function authenticationFrom(
  type: string | undefined,
  given: AuthenticationValues,
): Authentication {
  const values = modern(given)
  const plugin = type ?? guessedType(values)
  if (plugin === 'none' || plugin === 'noauth') return { kind: 'none' }
  const authUrl = need(values['auth_url'], 'auth_url')
  if (!URL.canParse(authUrl)) throw new AuthenticationProblem('auth_url is not a URL')
  switch (plugin) {
    case 'password':
    case 'v3password': {
      const password = new Secret(need(values['password'], 'password'))
      return { kind: 'password', authUrl, as: userOf(values), password, scope: scopeOf(values) }
    }
    case 'token':
    case 'v3token': {
      const token = new Secret(need(values['token'], 'token'))
      return { kind: 'token', authUrl, token, scope: scopeOf(values) }
    }
    case 'v3applicationcredential':
    case 'application_credential': {
      const names = 'application_credential_id or application_credential_name'
      const credential = need(named(values, 'application_credential'), names)
      const secret = new Secret(
        need(values['application_credential_secret'], 'application_credential_secret'),
      )
      const kind = 'application-credential'
      if ('id' in credential) return { kind, authUrl, credential, secret }
      return { kind, authUrl, credential, as: userOf(values), secret }
    }
    default:
      throw new AuthenticationProblem(
        `auth_type "${plugin}" is not one of password, v3applicationcredential, token, none`,
      )
  }
}
