/** Through which of a router's ports did a connection come in? */

declare const brand: unique symbol
/** The first 11 characters of the id of a router's port, as Neutron puts them into the interface's name: `qr-4d2a7c11-9e`. */
export type RouterPortPrefix = string & { readonly [brand]: 'RouterPortPrefix' }

/**
 * What the proxy knows of a connection's ingress interface, sent beside a router's id only.
 * `other`: the connection came in through an interface that is no router port's.
 */
export type IngressPort = RouterPortPrefix | 'other'

const prefixPattern = /^[0-9a-f]{8}-[0-9a-f]{2}$/

/** Reads `4d2a7c11-9e` or `other`. @returns `undefined` for anything else */
export function parseIngressPort(text: unknown): IngressPort | undefined {
  if (text === 'other') return text
  if (typeof text !== 'string' || !prefixPattern.test(text)) return undefined
  return text as RouterPortPrefix
}
