/** What must not leave this host in a report, and how is it taken out? */
import { parseIpAddress } from '../../lib/identity/ip-address.ts'
import type { Count } from '../../lib/runtime/clock.ts'

const redacted = '[redacted]'
/** Shorter ones would take pieces out of every word. They stand in no text but their own file. */
const leastSecret: Count = 4

/**
 * Takes known secrets out of a text, in every form in which a text can hold them, and whatever stands before the @ of a URL. No part of the
 * report prints a secret by itself: this is for what others write, as an error of a library that quotes its input.
 */
export function withoutSecrets(text: string, secrets: Iterable<string>): string {
  let clean = text
  const forms = [...secrets].filter((secret) => secret.length >= leastSecret).flatMap(formsOf)
  // A secret may be a part of another one.
  for (const form of forms.toSorted((one, other) => other.length - one.length)) {
    clean = clean.replaceAll(form, redacted)
  }
  return clean.replaceAll(/([a-z][a-z\d+.-]*:\/\/)[^\s/@"'\\]+@/gi, `$1${redacted}@`)
}

function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret)
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ]
}

/** With dashes, or without as Keystone writes projects. */
const idPattern = /\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b|\b[\da-f]{32}\b/gi
/** As in `qr-4d2a7c11-9e`: the beginning of an id. */
const portPattern = /(?<=[a-z]{2,3}-?)[\da-f]{8}-[\da-f]{2}\b|\b[\da-f]{8}-[\da-f]{2}\b/gi
const macPattern = /\b(?:[\da-f]{2}:){5}[\da-f]{2}\b/gi
const ipv4Pattern = /\b(?:\d{1,3}\.){3}\d{1,3}\b/g
const ipv6Pattern =
  /(?<![\w:])(?:[\da-f]{1,4}:){2,7}[\da-f]{0,4}(?::[\da-f]{1,4})*(?![\w:])|(?<![\w:])[\da-f]{0,4}::[\da-f:]*[\da-f](?![\w:])/gi
const targetPattern = /("target":\s*")[^"]*"/g
/** Addresses that every host has reveal nothing of a tenant. */
const common = /^(?:169\.254\.169\.254|127\.|0\.0\.0\.0|::1?$|fe80::a9fe:a9fe$)/

/** Replaces ids, addresses and paths of tenants by numbers: the same one everywhere, so that a reader still sees what belongs together. */
export class TenantNames {
  readonly #numbers = new Map<string, string>()

  redact(text: string): string {
    return text
      .replaceAll(targetPattern, '$1(left out)"')
      .replaceAll(idPattern, (id) => this.#name('id', id))
      .replaceAll(macPattern, (mac) => this.#name('mac', mac))
      .replaceAll(portPattern, (port) => this.#name('port', port))
      .replaceAll(ipv4Pattern, (ip) => this.#address(ip))
      .replaceAll(ipv6Pattern, (ip) => this.#address(ip))
  }

  #address(ip: string): string {
    // A time of day looks like half an address.
    const isKept = parseIpAddress(ip) === undefined || common.test(ip)
    return isKept ? ip : this.#name('ip', ip)
  }

  #name(kind: string, value: string): string {
    const key = `${kind} ${value.toLowerCase()}`
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const name = `${kind}-${this.#numbers.size + 1}`
    this.#numbers.set(key, name)
    return name
  }
}
