/** How does the operator write an address to listen on? */
import { parseIpAddress, type IpAddress } from '../../lib/identity/ip-address.ts'
import type { ListenAddress } from '../netns/listen-in.ts'

const bracketed = /^\[([^\]%]+)(?:%([A-Za-z0-9._-]{1,15}))?\]:(\d{1,5})$/
const plain = /^(\d[\d.]*):(\d{1,5})$/

/**
 * Reads `169.254.169.254:80`, `[::]:9697` (both families), `[fe80::a9fe:a9fe]:80` (on every interface that carries it) or
 * `[fe80::a9fe:a9fe%tap0]:80`.
 * @returns `undefined` for anything else
 */
export function parseListenAddress(text: unknown): ListenAddress | undefined {
  if (typeof text !== 'string') return undefined
  const v4 = plain.exec(text)
  if (v4) return listenAddress(parseIpAddress(v4[1]), v4[2], undefined)
  const v6 = bracketed.exec(text)
  return v6 ? listenAddress(parseIpAddress(v6[1]), v6[3], v6[2]) : undefined
}

function listenAddress(
  address: IpAddress | undefined,
  portText: string | undefined,
  onInterface: string | undefined,
): ListenAddress | undefined {
  const tcpPort = Number(portText)
  if (address === undefined || tcpPort < 1 || tcpPort > 65_535) return undefined
  return { address, tcpPort, ...(onInterface !== undefined && { interface: onInterface }) }
}

/** The inverse of {@link parseListenAddress}. */
export function listenAddressText({ address, tcpPort, interface: name }: ListenAddress): string {
  if (!address.includes(':')) return `${address}:${tcpPort}`
  return `[${address}${name === undefined ? '' : `%${name}`}]:${tcpPort}`
}
