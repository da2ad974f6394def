/** Who may read the page? Whoever holds the link that the command printed, and no other user or page of this machine. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** What the guard decides about a request: let it in with the rest of its path, send it on, or refuse it. */
export type Admission =
  | { readonly kind: 'page'; readonly base: string }
  | { readonly kind: 'enter'; readonly to: string }
  | { readonly kind: 'refused'; readonly why: string }

const secret = (): string => randomBytes(32).toString('base64url')

/**
 * Two secrets of 256 bits. The link has the first, which works once: a browser's arguments can be read by every user of the machine. The
 * session has the second, as the first part of each path: a cookie would be sent to every port of 127.0.0.1, other users' as well.
 */
export class Guard {
  readonly #link = secret()
  readonly #session = secret()
  #isUsed = false

  /** The path to open once. */
  get entrance(): string {
    return `/enter/${this.#link}`
  }

  admit(request: Request): Admission {
    const { pathname } = new URL(request.url)
    if (!isLoopback(request.headers.get('host'))) {
      return refused('This page answers to 127.0.0.1 alone.')
    }
    // A link on another page may open this one. No other page may read or embed it.
    const site = request.headers.get('sec-fetch-site') ?? 'none'
    const isVisit = request.headers.get('sec-fetch-dest') === 'document'
    if (site !== 'none' && site !== 'same-origin' && !isVisit) {
      return refused('Pages of other origins may not read this one.')
    }
    if (request.method !== 'GET') return refused('This page only shows.')
    const [, first = '', second = ''] = pathname.split('/')
    if (first === 'enter') return this.#enter(second)
    if (!isSame(first, this.#session)) return refused(unknownLink)
    return { kind: 'page', base: `/${this.#session}` }
  }

  #enter(link: string): Admission {
    if (!isSame(link, this.#link)) return refused(unknownLink)
    if (this.#isUsed) return refused('This link was used already. Run "overlapd ui" again.')
    this.#isUsed = true
    return { kind: 'enter', to: `/${this.#session}/` }
  }
}

const unknownLink = 'Open the link that "overlapd ui" printed.'

function refused(why: string): Admission {
  return { kind: 'refused', why }
}

/** A name of another machine that leads here (DNS rebinding) is not ours. Any port: ssh may forward from another. */
function isLoopback(host: string | null): boolean {
  return /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/.test(host ?? '')
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
