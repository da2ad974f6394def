import { randomInt } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { netnsFolder } from '../../lib/config/defaults.ts'
import { metadataIpv4, metadataIpv6 } from '../../lib/wire/metadata-address.ts'
import { eui64LinkLocal } from '../../lib/identity/ip-address.ts'
import { parseMacAddress } from '../../lib/identity/mac-address.ts'
import { inParallel, runCommand } from './run-command.ts'
import { demoSubnet, type DemoGuest, type DemoNetwork, type DemoTopology } from './topology.ts'

const programsAtOnce = 4
/** First letters of every namespace the demo makes; the process id of its maker follows. */
const runPrefix = 'ovd'

/** The word a run's namespaces begin with. It names the process, so that a later run can distinguish leftovers from neighbours. */
export function runWord(pid: number): string {
  return `${runPrefix}${pid}`
}

/** A link-local address from an interface's MAC, as a guest's kernel makes it (EUI-64). @throws {TypeError} for what is no MAC */
export function linkLocalOf(mac: string): string {
  const parsed = parseMacAddress(mac)
  if (parsed === undefined) throw new TypeError(`"${mac}" is no MAC address`)
  return eui64LinkLocal(parsed)
}

/** Builds the namespaces, links, addresses and routes of a plan. */
export async function setUpNetworks(topology: DemoTopology): Promise<void> {
  const { host, networks } = topology
  const guests = networks.flatMap((network) => network.guests)
  await batch(namespacesOf(topology).map((name) => `netns add ${name}`))
  // Made on a host that has nothing else and moved in, as Open vSwitch's ports are: the daemons find neither index nor name at home.
  await inside(host, networks.flatMap(cablesOf))
  await inside(host, networks.flatMap(movesOf))
  await inParallel(networks, programsAtOnce, buildService)
  const networkOf = new Map(
    networks.flatMap((network) => network.guests.map((guest) => [guest, network] as const)),
  )
  await inParallel(guests, programsAtOnce, (guest) => buildGuest(guest, networkOf.get(guest)))
}

/** The names of all namespaces of a plan. */
export function namespacesOf(topology: DemoTopology): string[] {
  return [
    topology.host,
    ...topology.networks.flatMap((network) => [
      network.netns,
      ...network.guests.map((guest) => guest.netns),
    ]),
  ]
}

function lines(commands: readonly string[]): string {
  return commands.map((command) => `${command}\n`).join('')
}

/** A guest's end of its cable, while it is on the host. */
function guestEnd(guest: DemoGuest): string {
  return `g${guest.portId.slice(0, 11)}`
}

/** What a network is made of on the host: a cable where there is one guest, a bridge where there are more. */
function cablesOf(network: DemoNetwork): string[] {
  const { device, deviceMac, netns, guests } = network
  const [first] = guests
  // No guest sends requests there, so it need not come from the host. Not every kernel has dummy devices.
  if (first === undefined) {
    return [`link add ${device} address ${deviceMac} netns ${netns} type bridge forward_delay 0`]
  }
  if (guests.length === 1) return [pairOf(device, deviceMac, guestEnd(first), first.mac)]
  const bridge = `b${network.networkId.slice(0, 11)}`
  const toBridge = [
    pairOf(device, deviceMac, `s${device.slice(-11)}`),
    ...guests.map((guest) => pairOf(guestEnd(guest), guest.mac, `tap${guest.portId.slice(0, 11)}`)),
  ]
  const plugs = [
    `s${device.slice(-11)}`,
    ...guests.map(({ portId }) => `tap${portId.slice(0, 11)}`),
  ]
  return [
    `link add ${bridge} type bridge forward_delay 0 mcast_snooping 0`,
    `link set ${bridge} addrgenmode none up`,
    ...toBridge,
    ...plugs.map((plug) => `link set ${plug} addrgenmode none master ${bridge} up`),
  ]
}

function pairOf(one: string, mac: string, other: string, otherMac?: string): string {
  const address = otherMac === undefined ? '' : ` address ${otherMac}`
  return `link add ${one} address ${mac} index ${newIndex()} type veth peer name ${other}${address} index ${newIndex()}`
}

/** An index for a device that no device of this machine has, so that no program finds one by chance. */
export function newIndex(): number {
  return randomInt(1_000_000, 2_000_000_000)
}

function movesOf(network: DemoNetwork): string[] {
  if (network.guests.length === 0) return []
  return [
    `link set ${network.device} netns ${network.netns}`,
    ...network.guests.map((guest) => `link set ${guestEnd(guest)} netns ${guest.netns} name eth0`),
  ]
}

async function buildService(network: DemoNetwork): Promise<void> {
  const { device } = network
  const host = network.routerId === undefined ? 2 : 1
  const commands = [
    'link set lo up',
    `link set ${device} addrgenmode none up`,
    `addr add ${demoSubnet.ip}.${host}/${demoSubnet.bits} dev ${device}`,
    `addr add ${demoSubnet.ip6}${host}/${demoSubnet.bits6} dev ${device} nodad`,
    `addr add ${linkLocalOf(network.deviceMac)}/64 dev ${device} nodad`,
  ]
  if (network.routerId === undefined) {
    commands.push(
      `addr add ${metadataIpv4}/32 dev ${device}`,
      `addr add ${metadataIpv6}/64 dev ${device} nodad`,
    )
  }
  await inside(network.netns, commands)
}

async function buildGuest(guest: DemoGuest, network: DemoNetwork | undefined): Promise<void> {
  if (network === undefined) throw new TypeError(`Guest "${guest.name}" is on no network`)
  const commands = [
    'link set lo up',
    'link set eth0 addrgenmode none up',
    `addr add ${guest.ip}/${demoSubnet.bits} dev eth0`,
    `addr add ${guest.ip6}/${demoSubnet.bits6} dev eth0 nodad`,
    `addr add ${linkLocalOf(guest.mac)}/64 dev eth0 nodad`,
  ]
  if (network.routerId === undefined) {
    commands.push(`route add ${metadataIpv4}/32 via ${demoSubnet.ip}.2`)
  } else {
    commands.push(
      // As by DHCP option 121. Without a default route a guest's name lookups fail at once; real ones have name servers.
      `route add ${metadataIpv4}/32 via ${demoSubnet.ip}.1`,
      `route add ${metadataIpv6}/128 via ${linkLocalOf(network.deviceMac)} dev eth0`,
    )
  }
  await inside(guest.netns, commands)
}

async function inside(netns: string, commands: readonly string[]): Promise<void> {
  await runCommand('ip', ['-n', netns, '-batch', '-'], lines(commands))
}

async function batch(commands: readonly string[]): Promise<void> {
  await runCommand('ip', ['-batch', '-'], lines(commands))
}

/** Removes every namespace of a run; links and rules go with them. */
export async function removeNetworks(run: string): Promise<void> {
  await removeNamespaces((await namespacesNow()).filter((name) => name.startsWith(`${run}-`)))
}

/** Removes namespaces by name; one that is not there is passed over. */
export async function removeNamespaces(wanted: readonly string[]): Promise<void> {
  const existing = new Set(await namespacesNow())
  const names = wanted.filter((name) => existing.has(name))
  if (names.length === 0) return
  await runCommand('ip', ['-force', '-batch', '-'], lines(names.map((name) => `netns del ${name}`)))
}

/** Removes what demos left behind that did not come to their end. @returns how many namespaces that were */
export async function removeLeftovers(): Promise<number> {
  let removed = 0
  const names = await namespacesNow()
  const runs = new Set(names.map((name) => name.split('-')[0] ?? ''))
  for (const run of runs) {
    const pid = run.startsWith(runPrefix) ? Number(run.slice(runPrefix.length)) : Number.NaN
    if (!Number.isInteger(pid) || isAlive(pid)) continue
    await removeNetworks(run)
    removed += names.filter((name) => name.startsWith(`${run}-`)).length
  }
  return removed
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function namespacesNow(): Promise<string[]> {
  try {
    return await readdir(netnsFolder)
  } catch {
    return []
  }
}
