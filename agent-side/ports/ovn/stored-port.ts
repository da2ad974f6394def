import type { IpAddress } from '../../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../../lib/identity/mac-address.ts'
import type { PortFacts } from './port-facts.ts'
import type { PortBinding } from './schema.ts'

/** How a row is kept: its texts as they came, in as few bytes as can be. */
export interface StoredPort extends PortBinding {
  /**
   * True when `mac` is one string of canonical words, `MAC IP IP…`, and holds all there is. Such a row is read by
   * splitting it. Nearly every row is one.
   */
  readonly isPlain: boolean
}

/** Marks `cidrs` that are the addresses of `mac` with these lengths: `/24 /64`. A CIDR never begins so. */
const lengthsMark = '/'

/** Finds the same text again, so that equal ones are kept once. */
export type ShareText = (text: string) => string

function wordsOfPlain(mac: string): readonly string[] {
  return mac.split(' ')
}

/** `/24 /64` for `10.0.0.10/24 fd00::10/64` where those are the addresses, or `undefined`. */
function lengthsOf(cidrs: string | undefined, fixedIps: readonly IpAddress[]): string | undefined {
  const parts = cidrs?.split(' ') ?? []
  if (parts.length !== fixedIps.length || parts.length === 0) return undefined
  const lengths = parts.map((part, place) => {
    const ip = fixedIps[place] ?? ''
    return part.startsWith(`${ip}${lengthsMark}`) ? part.slice(ip.length) : undefined
  })
  return lengths.includes(undefined) ? undefined : lengths.join(' ')
}

/** Keeps a row. `facts` are what was read off it, if it is a port at all. */
export function storePort(
  binding: PortBinding,
  facts: PortFacts | undefined,
  share: ShareText,
): StoredPort {
  const { logicalPort, mac, cidrs, deviceId, deviceOwner, projectId } = binding
  const isPlain = facts !== undefined && mac === [facts.macAddress, ...facts.fixedIps].join(' ')
  const lengths = isPlain ? lengthsOf(cidrs, facts.fixedIps) : undefined
  return {
    logicalPort,
    type: share(binding.type),
    mac,
    datapath: share(binding.datapath),
    cidrs: lengths === undefined ? cidrs : share(lengths),
    deviceId,
    deviceOwner: deviceOwner === undefined ? undefined : share(deviceOwner),
    projectId: projectId === undefined ? undefined : share(projectId),
    isPlain,
  }
}

/** The row as it came, for differences to be applied to. */
export function restorePort(stored: StoredPort): PortBinding {
  const { isPlain, ...binding } = stored
  const { cidrs, mac } = binding
  if (!isPlain || typeof mac !== 'string' || cidrs?.startsWith(lengthsMark) !== true) return binding
  const [, ...fixedIps] = wordsOfPlain(mac)
  const lengths = cidrs.split(' ')
  return { ...binding, cidrs: fixedIps.map((ip, place) => ip + (lengths[place] ?? '')).join(' ') }
}

/** What a plain row holds, without parsing; `undefined` for any other. */
export function plainFacts({ isPlain, mac }: StoredPort): PortFacts | undefined {
  if (!isPlain || typeof mac !== 'string') return undefined
  const [macAddress, ...fixedIps] = wordsOfPlain(mac)
  return { macAddress: macAddress as MacAddress, fixedIps: fixedIps as unknown as IpAddress[] }
}
