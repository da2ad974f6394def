import { forgeableHeaders } from '../../../lib/wire/wire-headers.ts'

/** The label under which a forged header is counted. */
export type ForgedHeaderClass = keyof typeof forgeableHeaders

/** In the order in which {@link forgedHeaderIndex} counts them. */
export const forgedHeaderClasses = Object.keys(forgeableHeaders) as readonly ForgedHeaderClass[]

const prefixes: readonly (readonly string[])[] = Object.values(forgeableHeaders)

/** True for a header that programs add when they forward a request for another one. @param name as it came */
export function isForwardingHeader(name: string): boolean {
  return forgedHeaderClasses[forgedHeaderIndex(name)] === 'forwarded'
}

/**
 * Which class of identity header a guest's header name belongs to. An underscore counts as a dash, as many servers read it.
 * @param name as it came, in any letter case
 * @returns the place in {@link forgedHeaderClasses}, or -1 for every other header
 */
export function forgedHeaderIndex(name: string): number {
  const canonical = name.toLowerCase().replaceAll('_', '-')
  return prefixes.findIndex((starts) => starts.some((start) => canonical.startsWith(start)))
}
