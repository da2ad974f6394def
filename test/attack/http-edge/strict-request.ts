/**
 * A reader of request heads that takes what RFC 9112 lets a client send and nothing else, written from the text of the RFC alone, so
 * that it shares no mistake with the readers it is compared with. Slow, and only for heads that have come whole.
 */

/** A request as the RFC has it. */
export interface StrictRequest {
  readonly kind: 'request'
  readonly method: string
  readonly target: string
  readonly minor: 0 | 1
  /** Names and values in turn. */
  readonly fields: readonly string[]
  /** What follows the head: §6.3. */
  readonly body: number | 'chunked'
  /** The connection ends after the answer: §9.3. */
  readonly isLast: boolean
  /** How many bytes the head takes. */
  readonly length: number
  /** A line of it ended without CR, which a recipient may take or refuse: §2.2. */
  readonly hasBareLf: boolean
}

export type StrictReading =
  | StrictRequest
  | { readonly kind: 'invalid'; readonly why: string }
  | { readonly kind: 'incomplete' }

/** §3: single spaces, no other white space; §3.2: targets of visible characters; §2.3: the version's case counts. */
const strictRequestLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/1\.([01])$/

/** §3 lets a recipient divide the line into words at any number of spaces, as Node's parser does. */
export const requestLineOfWords = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) +([\x21-\x7e]+) +HTTP\/1\.([01])$/

/** @param text bytes of a connection as Latin-1, from where a request may begin */
export function readStrictly(text: string, requestLine = strictRequestLine): StrictReading {
  // §2.2: at least one empty line before the request line is ignored.
  const from = /^(?:\r?\n)?/.exec(text)?.[0].length ?? 0
  const lines = linesOf(text, from)
  if (lines === undefined) return { kind: 'incomplete' }
  const [first, ...rest] = lines.lines
  const line = requestLine.exec(first ?? '')
  if (line === null) return invalid('request line')
  const [, method = '', target = '', minorText] = line
  const minor = minorText === '1' ? 1 : 0
  const fields: string[] = []
  for (const text of rest) {
    // §5: no white space before the colon, no folding (§5.2); RFC 9110 §5.5: no CR, LF, NUL, no other controls but HTAB.
    const field =
      /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/.exec(
        text,
      )
    if (field === null) return invalid('field line')
    fields.push(field[1] ?? '', field[2] ?? '')
  }
  const valuesOf = (wanted: string): string[] =>
    fields.filter((_, index) => index % 2 === 1 && fields[index - 1]?.toLowerCase() === wanted)
  const hosts = valuesOf('host')
  if (hosts.length > 1 || (minor === 1 && hosts.length === 0)) return invalid('Host')
  const body = framingOf(valuesOf('content-length'), valuesOf('transfer-encoding'), minor)
  if (body === undefined) return invalid('framing')
  const options = valuesOf('connection').flatMap((value) =>
    value.split(',').map((option) => option.replaceAll(/^[ \t]+|[ \t]+$/g, '').toLowerCase()),
  )
  const isLast = options.includes('close') || (minor === 0 && !options.includes('keep-alive'))
  const { length, hasBareLf } = lines
  return { kind: 'request', method, target, minor, fields, body, isLast, length, hasBareLf }
}

function invalid(why: string): StrictReading {
  return { kind: 'invalid', why }
}

/** The lines up to the empty one. @returns `undefined` while that has not come */
function linesOf(
  text: string,
  from: number,
):
  | { readonly lines: readonly string[]; readonly length: number; readonly hasBareLf: boolean }
  | undefined {
  const lines: string[] = []
  let hasBareLf = from === 1
  for (let at = from; ;) {
    const end = text.indexOf('\n', at)
    if (end < 0) return undefined
    const isBare = text[end - 1] !== '\r' || end === at
    hasBareLf ||= isBare
    const line = text.slice(at, isBare ? end : end - 1)
    at = end + 1
    if (line === '') return { lines, length: at, hasBareLf }
    lines.push(line)
  }
}

/** §6.1 to §6.3, with everything refused that a recipient may take for an attempt at smuggling. */
function framingOf(
  lengths: readonly string[],
  codings: readonly string[],
  minor: 0 | 1,
): StrictRequest['body'] | undefined {
  if (codings.length > 0) {
    const isChunked = codings.length === 1 && codings[0]?.toLowerCase() === 'chunked'
    return isChunked && lengths.length === 0 && minor === 1 ? 'chunked' : undefined
  }
  if (lengths.length === 0) return 0
  const [length = ''] = lengths
  return lengths.length === 1 && /^\d{1,15}$/.test(length) ? Number(length) : undefined
}
