import {
  readStrictly,
  requestLineOfWords,
  type StrictRequest,
} from '../http-edge/strict-request.ts'

/**
 * All requests that RFC 9112 lets a recipient read from the bytes of one connection, up to the first thing that is none.
 * @param text as Latin-1
 */
export function strictRequests(text: string): readonly StrictRequest[] {
  const requests: StrictRequest[] = []
  for (let rest = text; rest !== '';) {
    // §2.2 asks for at least one empty line to be ignored, and Node's parser ignores all of them.
    const begun = rest.replace(/^[\r\n]+/, '')
    const request = readStrictly(begun, requestLineOfWords)
    if (request.kind !== 'request') return requests
    requests.push(request)
    const behind = begun.slice(request.length)
    const length = request.body === 'chunked' ? chunkedLength(behind) : request.body
    if (length === undefined || length > behind.length || request.isLast) return requests
    rest = behind.slice(length)
  }
  return requests
}

/** How many bytes a chunked body takes: §7.1. @returns `undefined` for one that is none or not whole */
function chunkedLength(text: string): number | undefined {
  for (let at = 0; ;) {
    const size = /^([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n/.exec(
      text.slice(at, at + 300),
    )
    if (size === null) return undefined
    at += size[0].length
    const length = Number.parseInt(size[1] ?? '', 16)
    if (length === 0) {
      // The trailer section: lines up to an empty one.
      const trailer = /^(?:[!#$%&'*+.^_`|~\w-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n/.exec(
        text.slice(at),
      )
      return trailer === null ? undefined : at + trailer[0].length
    }
    if (text.slice(at + length, at + length + 2) !== '\r\n') return undefined
    at += length + 2
  }
}
