/** Which facts about a request does the agent need, that the request itself does not go on with? */
import type { FlatFields } from '../../../lib/fast-http/fields.ts'
import { isMetadataHost } from '../../../lib/wire/metadata-address.ts'
import { wireHeaders } from '../../../lib/wire/wire-headers.ts'
import type { Count } from '../../../lib/runtime/clock.ts'
import { isForwardingHeader } from '../shared/forged-headers.ts'

/** What the agent gets of a request's own headers. */
export interface SentFacts {
  /** Names and values in turn. */
  readonly headers: readonly string[]
  /** A request that names this service, that no program marked as forwarded, and that holds no token. */
  readonly isPlain: boolean
  /** User-Agent, printable; empty without one. */
  readonly agent: string
}

/** Longer values are no names, no tokens and no numbers: cut, they stay what they are, which is wrong. */
const longest = { host: 260, token: 256, agent: 120 } as const satisfies Record<string, Count>

/** Reads the headers of a guest's request. Repeated ones are joined as RFC 9110 §5.3 has it. */
export function sentFacts(rawHeaders: FlatFields): SentFacts {
  let host: string | undefined
  let agent: string | undefined
  let token: string | undefined
  let ttl: string | undefined
  let isForwarded = false
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const value = rawHeaders[index + 1] ?? ''
    // The first letter alone rules out most names without making a string.
    switch (name.charCodeAt(0) | 0x20) {
      case 0x66 /* f */:
        isForwarded ||= isForwardingHeader(name)
        break
      case 0x68 /* h */:
        if (name.length === 4 && name.toLowerCase() === 'host') host = joined(host, value)
        break
      case 0x75 /* u */:
        if (name.length === 10 && name.toLowerCase() === 'user-agent') agent = joined(agent, value)
        break
      case 0x76 /* v */:
        isForwarded ||= name.length === 3 && name.toLowerCase() === 'via'
        break
      case 0x78 /* x */: {
        const canonical = name.toLowerCase()
        if (canonical === wireHeaders.token) token = joined(token, value)
        else if (canonical === wireHeaders.tokenTtl) ttl = joined(ttl, value)
        else isForwarded ||= isForwardingHeader(name)
        break
      }
      default:
    }
  }
  const headers = [wireHeaders.guestHost, host === undefined ? '-' : printable(host, longest.host)]
  if (isForwarded) headers.push(wireHeaders.guestForwarded, '1')
  const shownAgent = agent === undefined ? '' : printable(agent, longest.agent)
  if (shownAgent !== '') headers.push(wireHeaders.guestAgent, shownAgent)
  if (token !== undefined) headers.push(wireHeaders.token, printable(token, longest.token))
  if (ttl !== undefined) headers.push(wireHeaders.tokenTtl, printable(ttl, longest.token))
  const isOwnHost = host === undefined || isMetadataHost(host)
  const isPlain = isOwnHost && !isForwarded && token === undefined
  return { headers, isPlain, agent: shownAgent }
}

/** Reads headers once that come again as the same list. */
export class KnownFacts {
  readonly #known = new WeakMap<FlatFields, SentFacts>()

  /** @see sentFacts */
  of(rawHeaders: FlatFields): SentFacts {
    const known = this.#known.get(rawHeaders)
    if (known !== undefined) return known
    const facts = sentFacts(rawHeaders)
    this.#known.set(rawHeaders, facts)
    return facts
  }
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`
}

const unprintable = /[^\x20-\x7e]/g

/** What any reader of headers takes for the same text. An empty value is a character that stands in none. */
function printable(text: string, most: Count): string {
  const cut = text.length > most ? text.slice(0, most) : text
  return cut === '' ? '?' : cut.replace(unprintable, '?')
}
