import { parseIpAddress, type IpAddress } from '../../lib/identity/ip-address.ts'

/** Where to listen over TCP. */
export interface TcpAddress {
  readonly host: IpAddress
  /** 0: one that is free, which the status then tells. */
  readonly tcpPort: number
}

const pattern = /^(?:\[([0-9A-Fa-f:.]+)\]|([\d.]+)):(\d{1,5})$/

/** Reads `192.0.2.1:9699` or `[2001:db8::1]:9699`. @returns `undefined` for anything else, host names included */
export function parseTcpAddress(text: unknown): TcpAddress | undefined {
  if (typeof text !== 'string') return undefined
  const [, v6, v4, port] = pattern.exec(text) ?? []
  const host = parseIpAddress(v6 ?? v4)
  const tcpPort = Number(port)
  return host === undefined || tcpPort > 65_535 ? undefined : { host, tcpPort }
}

/** The inverse of {@link parseTcpAddress}. */
export function tcpAddressText({ host, tcpPort }: TcpAddress): string {
  return host.includes(':') ? `[${host}]:${tcpPort}` : `${host}:${tcpPort}`
}
