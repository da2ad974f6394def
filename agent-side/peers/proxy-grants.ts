/**
 * Which scopes may the proxy on the other end of a connection speak for? Its certificate names it, the operator's list or the
 * directory of ports holds what that allows, and nothing that it sends can widen it.
 */
import type { X509Certificate } from 'node:crypto'
import type { Count } from '../../lib/runtime/clock.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { parseScopeText, scopeText, type Scope, type ScopeText } from '../../lib/identity/scope.ts'

/** What one proxy may speak for: `router/ID`, `network/ID`, or `*` for all. */
export interface ProxyGrant {
  /** As in its certificate. */
  readonly name: string
  readonly scopes: readonly ScopeGrant[]
}

/** A scope as {@link scopeText} writes it, or `*`. */
export type ScopeGrant = '*' | ScopeText

/** @returns `undefined` when the text names no scope */
export function parseScopeGrant(text: unknown): ScopeGrant | undefined {
  return text === '*' ? '*' : parseScopeText(text)
}

/** What a name in the list may be: the letters of host names and `_`. A star or a leading dot would read like a pattern, and there is none. */
export const proxyNamePattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/

/** One proxy, named by its certificate when it connected. */
export interface KnownProxy {
  readonly name: string
  /**
   * By what the list or the directory holds now, also when it has changed since the connection was made.
   * @throws {MetadataError} directory_not_ready, directory_unavailable: the directory is not certain
   */
  maySpeakFor(scope: Scope): boolean
}

/** How a certificate reads against the list. */
export type Recognised =
  | { readonly kind: 'known'; readonly proxy: KnownProxy }
  | { readonly kind: 'unknown' }
  /** It bears several names of the list: which of them connects is unknown. */
  | { readonly kind: 'several'; readonly names: readonly string[] }

/**
 * Compares names the way certificates define them and in no other way: whole, without regard to case, without wildcards, DNS names
 * alone when there are any (an authority that checks those may leave the common name to the applicant), otherwise the common name.
 * @see RFC 9525 §6.3, X509_check_host(3)
 */
function bears(certificate: X509Certificate, name: string): boolean {
  const found = certificate.checkHost(name, {
    subject: 'default',
    wildcards: false,
    partialWildcards: false,
    multiLabelWildcards: false,
    singleLabelSubdomains: false,
  })
  return found !== undefined && found.toLowerCase() === name.toLowerCase()
}

/** The names in a certificate as text, in lower case: one that it bears stands there. */
function namesShown(certificate: X509Certificate): string {
  // Node's types do not show that an empty subject is none.
  const { subject, subjectAltName } = certificate as Partial<X509Certificate>
  return `${subject ?? ''}\n${subjectAltName ?? ''}`.toLowerCase()
}

/** The names in a certificate that can stand for one host: its DNS names, or without any its common name. */
function hostNames(certificate: X509Certificate): readonly string[] {
  const { subject = '', subjectAltName = '' } = certificate as Partial<X509Certificate>
  const dnsNames = subjectAltName.split(', ').filter((name) => name.startsWith('DNS:'))
  const commonNames = subject.split('\n').filter((name) => name.startsWith('CN='))
  const shown =
    dnsNames.length > 0
      ? dnsNames.map((name) => name.slice(4))
      : commonNames.map((name) => name.slice(3))
  // Texts of other kinds may contain what looks like a DNS name.
  return shown.filter((name) => proxyNamePattern.test(name) && bears(certificate, name))
}

/** Whether a host may have requests sent for a scope, by where the ports are. Throws as {@link KnownProxy.maySpeakFor} does. */
export type IsOnHost = (host: string, scope: Scope) => boolean

/** The operator's list, which can be replaced while connections are open. */
export class ProxyGrants {
  /** By name in lower case. */
  #scopesOf: ReadonlyMap<string, ReadonlySet<string>> = new Map()
  #names: readonly string[] = []
  readonly #isOnHost: IsOnHost | undefined

  /** @param isOnHost decides for proxies that are not on the list; absent: they are unknown */
  constructor(grants: readonly ProxyGrant[], isOnHost?: IsOnHost) {
    this.#isOnHost = isOnHost
    this.replace(grants)
  }

  get size(): Count {
    return this.#names.length
  }

  replace(grants: readonly ProxyGrant[]): void {
    this.#names = grants.map(({ name }) => name)
    this.#scopesOf = new Map(
      grants.map(({ name, scopes }) => [name.toLowerCase(), new Set<string>(scopes)]),
    )
  }

  /** @param certificate one that TLS has verified */
  recognise(certificate: X509Certificate): Recognised {
    const shown = namesShown(certificate)
    // OpenSSL takes some microseconds for each name, and a list may have one for each of ten thousand hosts.
    const listed = this.#names.filter(
      (name) => shown.includes(name.toLowerCase()) && bears(certificate, name),
    )
    const names = listed.length === 0 ? this.#hostsOf(certificate) : listed
    const [name] = names
    if (name === undefined) return { kind: 'unknown' }
    if (names.length > 1) return { kind: 'several', names }
    const isOnHost = listed.length === 0 ? this.#isOnHost : undefined
    return {
      kind: 'known',
      proxy: { name, maySpeakFor: (scope) => this.#allows(name, scope, isOnHost) },
    }
  }

  #hostsOf(certificate: X509Certificate): readonly string[] {
    return this.#isOnHost === undefined ? [] : hostNames(certificate)
  }

  /** A host counts for as long as the list does not have its name: listed, it may be locked out. */
  #allows(name: string, scope: Scope, isOnHost: IsOnHost | undefined): boolean {
    const scopes = this.#scopesOf.get(name.toLowerCase())
    if (scopes === undefined) return isOnHost?.(name, scope) === true
    return scopes.has('*') || scopes.has(scopeText(scope))
  }
}

/**
 * Every request of a proxy for a scope goes through here.
 * @param proxy `undefined` on a socket of this host, where the file's mode decides who speaks
 * @throws {MetadataError} scope_not_allowed
 */
export function requireScope(proxy: KnownProxy | undefined, scope: Scope): void {
  if (proxy === undefined || proxy.maySpeakFor(scope)) return
  throw new MetadataError('scope_not_allowed', 'The certificate does not cover this scope', {
    details: { proxy: proxy.name },
  })
}
