import { readdir } from 'node:fs/promises'
import { inParallel, runCommand } from './run-command.ts'
import { demoSubnet, type DemoGuest, type DemoNetwork, type DemoTopology } from './topology.ts'

const netnsFolder = '/run/netns'
const metadataIp = '169.254.169.254'
const metadataIp6 = 'fe80::a9fe:a9fe'
const programsAtOnce = 4
/** First letters of every namespace the demo makes; the process id of its maker follows. */
const runPrefix = 'ovd'

/** The word a run's namespaces begin with. It names the process, so that a later run can tell leftovers from neighbours. */
export function runWord(pid: number): string {
  return `${runPrefix}${pid}`
}

/** A link-local address from an interface's MAC, as a guest's kernel makes it (EUI-64). */
function linkLocalOf(mac: string): string {
  const [a = '0', b = '0', c = '0', d = '0', e = '0', f = '0'] = mac.split(':')
  const first = (Number.parseInt(a, 16) ^ 0x02).toString(16).padStart(2, '0')
  return `fe80::${first}${b}:${c}ff:fe${d}:${e}${f}`
}

/** Builds the namespaces, links, addresses and routes of a plan. */
export async function buildScenery(topology: DemoTopology): Promise<void> {
  const guests = topology.networks.flatMap((network) => network.guests)
  await runCommand(
    'ip',
    ['-batch', '-'],
    lines(namespacesOf(topology), (name) => `netns add ${name}`),
  )
  await runCommand(
    'ip',
    ['-batch', '-'],
    topology.networks
      .flatMap((network) =>
        network.guests.map(
          (guest, index) =>
            `link add eth0 netns ${guest.netns} address ${guest.mac} type veth peer name guest${index} netns ${network.netns}\n`,
        ),
      )
      .join(''),
  )
  await inParallel(topology.networks, programsAtOnce, buildService)
  const networkOf = new Map(
    topology.networks.flatMap((network) =>
      network.guests.map((guest) => [guest, network] as const),
    ),
  )
  await inParallel(guests, programsAtOnce, (guest) => buildGuest(guest, networkOf.get(guest)))
}

/** The names of all namespaces of a plan. */
export function namespacesOf(topology: DemoTopology): string[] {
  return topology.networks.flatMap((network) => [
    network.netns,
    ...network.guests.map((guest) => guest.netns),
  ])
}

function lines(names: readonly string[], line: (name: string) => string): string {
  return names.map((name) => `${line(name)}\n`).join('')
}

async function buildService(network: DemoNetwork): Promise<void> {
  const { device } = network
  const host = network.routerId === undefined ? 2 : 1
  const commands = [
    'link set lo up',
    `link add ${device} address ${network.deviceMac} type bridge forward_delay 0`,
    `link set ${device} addrgenmode none up`,
    ...network.guests.map(
      (_, index) => `link set guest${index} addrgenmode none master ${device} up`,
    ),
    `addr add ${demoSubnet.ip}.${host}/${demoSubnet.bits} dev ${device}`,
    `addr add ${demoSubnet.ip6}${host}/${demoSubnet.bits6} dev ${device} nodad`,
    `addr add ${linkLocalOf(network.deviceMac)}/64 dev ${device} nodad`,
  ]
  if (network.routerId === undefined) {
    commands.push(
      `addr add ${metadataIp}/32 dev ${device}`,
      `addr add ${metadataIp6}/64 dev ${device} nodad`,
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
    commands.push(`route add ${metadataIp}/32 via ${demoSubnet.ip}.2`)
  } else {
    commands.push(
      // As by DHCP option 121. Without a default route a guest's name lookups fail at once; real ones have name servers.
      `route add ${metadataIp}/32 via ${demoSubnet.ip}.1`,
      `route add ${metadataIp6}/128 via ${linkLocalOf(network.deviceMac)} dev eth0`,
    )
  }
  await inside(guest.netns, commands)
}

async function inside(netns: string, commands: readonly string[]): Promise<void> {
  await runCommand('ip', ['-n', netns, '-batch', '-'], `${commands.join('\n')}\n`)
}

/** Removes every namespace of a run; links and rules go with them. */
export async function removeScenery(run: string): Promise<void> {
  await removeNamespaces((await namespacesNow()).filter((name) => name.startsWith(`${run}-`)))
}

/** Removes namespaces by name; one that is not there is passed over. */
export async function removeNamespaces(wanted: readonly string[]): Promise<void> {
  const existing = new Set(await namespacesNow())
  const names = wanted.filter((name) => existing.has(name))
  if (names.length === 0) return
  await runCommand(
    'ip',
    ['-force', '-batch', '-'],
    lines(names, (name) => `netns del ${name}`),
  )
}

/** Removes what demos left behind that did not come to their end. @returns how many namespaces that were */
export async function removeLeftovers(): Promise<number> {
  let removed = 0
  const names = await namespacesNow()
  const runs = new Set(names.map((name) => name.split('-')[0] ?? ''))
  for (const run of runs) {
    const pid = run.startsWith(runPrefix) ? Number(run.slice(runPrefix.length)) : Number.NaN
    if (!Number.isInteger(pid) || isAlive(pid)) continue
    await removeScenery(run)
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
