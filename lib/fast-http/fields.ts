/** How are the field lines of a message divided, and made? @see RFC 9110 §5, RFC 9112 §5 */

/** Field names and values in turn: without the white space around values. */
export type FlatFields = readonly string[]

/** Lines of RFC 9110 §5.6.2 names and §5.5 values: no folding, no bare CR or LF, no control character. */
export const fieldLines = "(?:[!#-'*+.^_`|~\\w-]+:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n)*"

const fieldName = /^[!#-'*+.^_`|~\w-]+$/
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/

/**
 * @param block matches {@link fieldLines}
 * @param padding what becomes of white space after a value, which parsers take for some fields and not for others
 * @returns `undefined` when there is some and it is refused
 */
export function splitFields(block: string, padding: 'trimmed' | 'refused'): string[] | undefined {
  const fields: string[] = []
  for (let from = 0; from < block.length;) {
    const colon = block.indexOf(':', from)
    const next = block.indexOf('\r\n', colon) + 2
    let begin = colon + 1
    let end = next - 2
    while (begin < end && isPadding(block.charCodeAt(begin))) begin += 1
    while (begin < end && isPadding(block.charCodeAt(end - 1))) {
      if (padding === 'refused') return undefined
      end -= 1
    }
    fields.push(block.slice(from, colon), block.slice(begin, end))
    from = next
  }
  return fields
}

function isPadding(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** The field lines of a request to be sent. @returns `undefined` when they would not be read as what they are */
export function fieldBlock(headers: readonly string[]): string | undefined {
  let block = ''
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    if (!fieldName.test(name) || !fieldValue.test(value)) return undefined
    block += `${name}: ${value}\r\n`
  }
  return block
}

/** True for a name that can stand where a method does. */
export function isToken(text: string): boolean {
  return fieldName.test(text)
}
