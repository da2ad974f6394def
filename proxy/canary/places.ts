/** Where would the guests of a namespace connect, seen from inside it? */
import { parseIpAddress, isIpv6, type IpAddress } from '../../lib/identity/ip-address.ts'
import { metadataIpv4, metadataTcpPort } from '../../lib/wire/metadata-address.ts'
import type { Attachment } from '../namespaces/plan-attachments.ts'
import type { ConnectTarget } from '../netns/connect-in.ts'
import type { CanaryPlace } from './canary.ts'

const bindingPattern = /^(.+?)(?:%(\d+))?:(\d+)$/
const loopback = parseIpAddress('127.0.0.1')

/** @param bindingKeys of the listeners that are open, `fe80::a9fe:a9fe%7:80` */
export function canaryPlace(attachment: Attachment, bindingKeys: readonly string[]): CanaryPlace {
  const { key, netns, path, identity, intercept } = attachment
  const targets = intercept ? [redirected] : bindingKeys.flatMap((one) => targetOf(one) ?? [])
  return { key, netns, path, kind: identity.kind, targets: bindingKeys.length > 0 ? targets : [] }
}

const redirected: ConnectTarget = {
  address: metadataIpv4,
  tcpPort: metadataTcpPort,
  interfaceIndex: 0,
  overLoopback: true,
}

function targetOf(bindingKey: string): ConnectTarget | undefined {
  const [, text, zone, port] = bindingPattern.exec(bindingKey) ?? []
  const address = parseIpAddress(text)
  if (address === undefined) return undefined
  return {
    address: isAny(address) ? (loopback ?? address) : address,
    tcpPort: Number(port),
    interfaceIndex: isIpv6(address) ? Number(zone ?? 0) : 0,
    overLoopback: false,
  }
}

function isAny(address: IpAddress): boolean {
  return address === '::' || address === '0.0.0.0'
}
