/**
 * What does a session token hold, and whose is it? Nothing is stored: whoever has the key knows from the token alone that it was made
 * here, for this port, MAC and namespace, and until when.
 *
 * 42 bytes in base64url: 1 version, 4 key id, 5 expiry in seconds since the epoch, 32 HMAC-SHA256.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { EpochMilliseconds, Seconds } from '../../lib/runtime/clock.ts'
import type { Secret } from '../../lib/runtime/secret.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import type { Identity, LookupKey } from '../resolve/resolution.ts'

/** As EC2 has it. */
export const longestTokenLife: Seconds = 21_600
/** Agents' clocks may differ by so much, or a clock may have been set back. */
const clockSkew: Seconds = 300

const version = 1
const headBytes = 10
const tokenBytes = headBytes + 32
const tokenPattern = /^[\w-]{56}$/

/** What a token is bound to: it is worth nothing for any other port, MAC or namespace. */
export interface TokenHolder {
  readonly identity: Pick<Identity, 'portId' | 'instanceId'>
  readonly key: Pick<LookupKey, 'scope' | 'sourceMac'>
}

/**
 * What a text is as a token.
 * - `malformed`: none. `unknown_key`: made with a key that is not here. `foreign`: made for another holder, or forged.
 */
export type TokenState = 'valid' | 'malformed' | 'unknown_key' | 'expired' | 'foreign'

interface TokenKey {
  readonly id: Buffer
  readonly secret: Buffer
}

/** Makes tokens with the first of its keys, and takes those of all. */
export class TokenKeys {
  readonly #keys: readonly TokenKey[]

  /** @param secrets at least one */
  constructor(secrets: readonly Secret[]) {
    this.#keys = secrets.map(tokenKey)
  }

  /** @param life 1 to {@link longestTokenLife} */
  make(holder: TokenHolder, now: EpochMilliseconds, life: Seconds): string {
    const [key] = this.#keys
    if (key === undefined) throw new RangeError('There is no key')
    const head = Buffer.alloc(headBytes)
    head[0] = version
    key.id.copy(head, 1)
    head.writeUIntBE(Math.floor(now / 1_000) + life, 5, 5)
    return Buffer.concat([head, seal(key, head, holder)], tokenBytes).toString('base64url')
  }

  verify(token: string, holder: TokenHolder, now: EpochMilliseconds): TokenState {
    if (!tokenPattern.test(token)) return 'malformed'
    const bytes = Buffer.from(token, 'base64url')
    if (bytes.length !== tokenBytes || bytes[0] !== version) return 'malformed'
    const key = this.#keys.find(({ id }) => id.equals(bytes.subarray(1, 5)))
    if (key === undefined) return 'unknown_key'
    const head = bytes.subarray(0, headBytes)
    // The time is looked at last: no guest learns of a token of another.
    if (!timingSafeEqual(bytes.subarray(headBytes), seal(key, head, holder))) return 'foreign'
    const left = bytes.readUIntBE(5, 5) - now / 1_000
    return left > 0 && left <= longestTokenLife + clockSkew ? 'valid' : 'expired'
  }
}

function tokenKey(secret: Secret): TokenKey {
  const derived = createHash('sha256').update('overlapd token key\0').update(secret.reveal())
  const bytes = derived.digest()
  const id = createHash('sha256').update('overlapd token key id\0').update(bytes).digest()
  return { id: id.subarray(0, 4), secret: bytes }
}

function seal({ secret }: TokenKey, head: Buffer, { identity, key }: TokenHolder): Buffer {
  // No part can hold a line feed, so no two holders have one text.
  const parts = [scopeText(key.scope), key.sourceMac ?? '-', identity.portId, identity.instanceId]
  return createHmac('sha256', secret).update(head).update(parts.join('\n')).digest()
}

/** @returns `undefined` for what is no whole number of seconds that a token may live */
export function parseTokenLife(text: string | undefined): Seconds | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text)) return undefined
  const life = Number(text)
  return life >= 1 && life <= longestTokenLife ? life : undefined
}
