/** How are addresses with a port written and read? */
import { parseIpAddress, type IpAddress } from './ip-address.ts'

/** An address with a port: `169.254.169.254:80`, `[::]:9697`, `[fe80::a9fe:a9fe%tap0]:80`. */
export interface TcpAddress {
  readonly address: IpAddress
  readonly tcpPort: number
  /** For link-local addresses: the interface. */
  readonly interface?: string
}

const pattern = /^(?:\[([^\]%]+)(?:%([A-Za-z0-9._-]{1,15}))?\]|(\d[\d.]*)):(\d{1,5})$/

/** @returns `undefined` for anything else, host names included */
export function parseTcpAddress(text: unknown): TcpAddress | undefined {
  if (typeof text !== 'string') return undefined
  const [, bracketed, onInterface, plain, digits] = pattern.exec(text) ?? []
  const address = parseIpAddress(bracketed ?? plain)
  const tcpPort = Number(digits)
  if (address === undefined || tcpPort > 65_535) return undefined
  return { address, tcpPort, ...(onInterface !== undefined && { interface: onInterface }) }
}

/** An address or a name as it stands before a port and in URLs: IPv6 in brackets. */
export function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** The inverse of {@link parseTcpAddress}. */
export function tcpAddressText({ address, tcpPort, interface: name }: TcpAddress): string {
  return `${hostText(name === undefined ? address : `${address}%${name}`)}:${tcpPort}`
}

/** A name or an address, with a port. */
export interface HostPort {
  readonly host: string
  readonly tcpPort: number
}

const hostPortPattern =
  /^(?:\[([^\]]+)\]|([A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?)):(\d{1,5})$/

/** Reads `agent.example:9699`, `192.0.2.1:9699`, `[2001:db8::1]:9699`. @returns `undefined` for anything else */
export function parseHostPort(text: string): HostPort | undefined {
  const [, bracketed, bare, digits] = hostPortPattern.exec(text) ?? []
  const host = bracketed === undefined ? bare : parseIpAddress(bracketed)
  const tcpPort = Number(digits)
  if (host === undefined || tcpPort < 1 || tcpPort > 65_535) return undefined
  return { host, tcpPort }
}
