declare const brand: unique symbol
/** An Ethernet address in canonical text: six lower-case octets with colons, `fa:16:3e:00:00:10`. */
export type MacAddress = string & { readonly [brand]: 'MacAddress' }

const separated = /^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$/

/** Reads `aa:bb:…` or `AA-BB-…` text into canonical form. @returns `undefined` for anything else */
export function parseMacAddress(text: unknown): MacAddress | undefined {
  if (typeof text !== 'string') return undefined
  const lower = text.toLowerCase()
  return separated.test(lower) ? (lower.replaceAll('-', ':') as MacAddress) : undefined
}

/** Formats six octets, as the kernel gives them in a saved SYN, into canonical text. @throws RangeError unless six octets remain at `offset` */
export function macAddressFromBytes(bytes: Uint8Array, offset = 0): MacAddress {
  if (bytes.length < offset + 6) throw new RangeError('A MAC address has six octets')
  let text = ''
  for (let index = 0; index < 6; index += 1) {
    const octet = bytes[offset + index] ?? 0
    text += (index === 0 ? '' : ':') + (octet < 16 ? '0' : '') + octet.toString(16)
  }
  return text as MacAddress
}
