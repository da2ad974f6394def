/** How do guests stand behind routers, DHCP namespaces and OVN's metadata namespaces, as Neutron's agents make them? */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { deleteNetns, ipBatch, makeEmptyNamespaces, uniqueName } from '../support/netns.ts'
import { RawConnection, type RawAnswer } from '../support/raw-http.ts'
import { GuestSockets } from '../support/connect-from.ts'
import type { Guest, Network } from './cloud.ts'
import { adopt, run, stopDaemon, untilReady } from './daemon.ts'
import { namespacesOf, type ScopeKind } from './namespace-names.ts'
import { scriptPath, type Place } from './place.ts'

/** Whose namespaces: those of the L3 and DHCP agents, or those of the OVN metadata agent. */
export type Flavour = 'ml2' | 'ovn'

/** The address a guest asks. */
export const metadataHosts = { 4: '169.254.169.254', 6: 'fe80::a9fe:a9fe' } as const
export type IpFamily = keyof typeof metadataHosts

/** A guest with its network. */
export interface PlacedGuest {
  readonly guest: Guest
  /** Its own namespace. */
  readonly netns: string
  /** The namespace that the host side serves. */
  readonly served: string
  readonly kind: ScopeKind
  /** Of the router or network. */
  readonly scopeId: string
  readonly interface: string
}

function placeGuest(guest: Guest, flavour: Flavour): PlacedGuest {
  const network: Network = flavour === 'ovn' ? guest.ovn.network : guest.network
  const kind = flavour === 'ovn' ? 'ovn' : network.routerId === undefined ? 'network' : 'router'
  const scopeId = network.routerId ?? network.id
  return {
    guest,
    ...namespacesOf(kind, scopeId),
    kind,
    scopeId,
    interface: `${kind === 'router' ? 'qr-' : 'tap'}${network.portId.slice(0, 11)}`,
  }
}

function inNetns(netns: string, ...words: readonly string[]): string {
  return execFileSync('ip', ['netns', 'exec', netns, ...words], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** The address that a guest's kernel makes of a MAC, RFC 4291 appendix A. */
function linkLocalOf(mac: string): string {
  const bytes = mac.split(':').map((text) => Number.parseInt(text, 16))
  const [first = 0, second = 0, third = 0, ...rest] = bytes
  const all = [first ^ 2, second, third, 0xff, 0xfe, ...rest]
  const word = (index: number): string =>
    (((all[index] ?? 0) << 8) | (all[index + 1] ?? 0)).toString(16)
  return `fe80::${word(0)}:${word(2)}:${word(4)}:${word(6)}`
}

function wire(placed: PlacedGuest, hostMac: string): void {
  const { netns, served, kind } = placed
  const { mac, ip, ip6 } = placed.guest.instance.port
  for (const name of [netns, served]) {
    const sysctl =
      'for one in all default; do echo 0 > /proc/sys/net/ipv6/conf/$one/accept_dad; done'
    inNetns(name, 'sh', '-ec', sysctl)
  }
  const isRouter = kind === 'router'
  if (isRouter) {
    const forward =
      'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
    inNetns(served, 'sh', '-ec', forward)
  }
  ipBatch([
    `link add name ${placed.interface} address ${hostMac} netns ${served} type veth peer name eth0 address ${mac} netns ${netns}`,
  ])
  const hostAddresses = isRouter
    ? ['10.0.0.1/24', 'fd00::1/64 nodad']
    : ['10.0.0.2/24', '169.254.169.254/32', 'fe80::a9fe:a9fe/64 nodad']
  ipBatch(
    [
      'link set lo up',
      `link set ${placed.interface} up`,
      ...hostAddresses.map((text) => `addr add ${text} dev ${placed.interface}`),
    ],
    served,
  )
  ipBatch(
    [
      'link set lo up',
      'link set eth0 up',
      `addr add ${ip}/24 dev eth0`,
      `addr add ${ip6}/64 dev eth0 nodad`,
      ...(isRouter
        ? [
            'route add default via 10.0.0.1',
            // What router advertisements carry.
            `route add fe80::a9fe:a9fe/128 via ${linkLocalOf(hostMac)} dev eth0`,
          ]
        : // What DHCP's option 121 carries.
          ['route add 169.254.169.254/32 via 10.0.0.2']),
    ],
    netns,
  )
}

/** The rules that the L3 agent keeps in each router's namespace, as command lines. */
export function l3AgentRules(action: '-A' | '-D'): readonly (readonly string[])[] {
  const mark = '0x1/0xffff'
  return ['iptables 169.254.169.254/32', 'ip6tables fe80::a9fe:a9fe/128'].flatMap((text) => {
    const [tool = '', destination = ''] = text.split(' ')
    const guests = ['-d', destination, '-i', 'qr-+', '-p', 'tcp', '--dport', '80']
    const rule = (table: string, chain: string, ...words: readonly string[]) =>
      [tool, '-w', '-t', table, action, chain, ...words] as const
    return [
      rule('mangle', 'PREROUTING', ...guests, '-j', 'MARK', '--set-xmark', mark),
      rule('nat', 'PREROUTING', ...guests, '-j', 'REDIRECT', '--to-ports', '9697'),
      rule('filter', 'INPUT', '-m', 'mark', '--mark', mark, '-j', 'ACCEPT'),
      rule('filter', 'INPUT', '-p', 'tcp', '--dport', '9697', '-j', 'DROP'),
    ]
  })
}

const askPatience: Milliseconds = 30_000

/** What cloud-init said. @see scripts/cloud_init.py */
export interface CloudInitReport {
  readonly accepted: boolean
  readonly version: string
  readonly requests: readonly (readonly [method: string, url: string, status: number | string])[]
  readonly instanceId?: string
  readonly address?: string
  readonly userData?: string
  readonly keys?: readonly string[]
}

/** Namespaces of all three guests for one flavour. They end with the test. */
export class GuestNetworks {
  readonly guests: readonly PlacedGuest[]
  /** Holds a link for each served namespace, so that a proxy finds these and no others. */
  readonly folder: string
  readonly #place: Place
  readonly #sockets: GuestSockets

  static async make(
    t: Test,
    place: Place,
    guests: readonly Guest[],
    flavour: Flavour,
  ): Promise<GuestNetworks> {
    const placed = guests.map((guest) => placeGuest(guest, flavour))
    // Their ids belong to this OpenStack alone, so these can only be what a broken run left.
    for (const { netns, served } of placed) [netns, served].forEach(deleteNetns)
    makeEmptyNamespaces(
      t,
      placed.flatMap(({ netns, served }) => [netns, served]),
    )
    const networks = new GuestNetworks(place, placed, flavour, await GuestSockets.open())
    t.teardown(() => networks.#close())
    return networks
  }

  private constructor(
    place: Place,
    placed: readonly PlacedGuest[],
    flavour: Flavour,
    sockets: GuestSockets,
  ) {
    this.#place = place
    this.#sockets = sockets
    this.guests = placed
    this.folder = join(place.folder, `netns-${uniqueName('')}`)
    mkdirSync(this.folder)
    for (const one of placed) {
      const { mac } = flavour === 'ovn' ? one.guest.ovn.network : one.guest.network
      wire(one, mac)
      symlinkSync(`/run/netns/${one.served}`, join(this.folder, one.served))
    }
  }

  /** The rules of the L3 agent, there or not. */
  setRules(areThere: boolean): void {
    for (const { served, kind } of this.guests) {
      if (kind !== 'router') continue
      for (const rule of l3AgentRules(areThere ? '-A' : '-D')) inNetns(served, ...rule)
    }
  }

  /** Starts one haproxy for each namespace, as Neutron's agents do. @returns the function that ends them */
  async startHaproxies(agentSocket: string): Promise<() => Promise<void>> {
    const state = join(this.#place.folder, 'state', 'haproxy')
    mkdirSync(state, { recursive: true })
    const names: string[] = []
    for (const { served, kind, scopeId, interface: onInterface } of this.guests) {
      const name = `haproxy-${served}`
      const pidFile = join(state, `${served}.pid`)
      const words = [state, pidFile, agentSocket, kind, scopeId, onInterface]
      const config = await run('/usr/bin/python3', [scriptPath('haproxy_config.py'), ...words])
      await run('ip', ['netns', 'exec', served, 'haproxy', '-f', config.trim()])
      adopt(this.#place, name, Number(readFileSync(pidFile, 'utf8')))
      names.push(name)
    }
    return async () => {
      await Promise.all(names.map((name) => stopDaemon(this.#place, name)))
    }
  }

  /** A connection from the guest to its metadata service. */
  async connect(placed: PlacedGuest, family: IpFamily): Promise<RawConnection> {
    const socket = this.#sockets.connect(
      placed.netns,
      metadataHosts[family],
      80,
      guestInterface(placed),
    )
    socket.setTimeout(askPatience, () => socket.destroy())
    const opened = RawConnection.over(socket)
    // Node does not tell of a connection that it did not begin itself; what is written waits for it.
    socket.emit('connect')
    return await opened
  }

  /** One request of the guest on a connection of its own. */
  async ask(
    placed: PlacedGuest,
    path: string,
    options: {
      readonly family?: IpFamily
      readonly fields?: readonly (readonly [string, string])[]
      /** @default 'GET' */
      readonly method?: string
    } = {},
  ): Promise<RawAnswer> {
    const connection = await this.connect(placed, options.family ?? 4)
    const { fields = [], method = 'GET' } = options
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    void connection.write(
      `${method} ${path} HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n${lines}\r\n`,
    )
    const answer = await connection.answer()
    connection.close()
    if (answer === undefined) throw new Error(`no answer to ${path}`)
    return answer
  }

  /** Runs cloud-init in the guest. */
  async cloudInit(placed: PlacedGuest, family: IpFamily): Promise<CloudInitReport> {
    const url = family === 4 ? 'http://169.254.169.254' : 'http://[fe80::a9fe:a9fe%25eth0]'
    // Without a name server, cloud-init's questions to one fail at once.
    const resolver = join(this.#place.folder, 'state', 'resolv.conf')
    writeFileSync(resolver, 'nameserver 127.0.0.1\n')
    const command = 'mount --bind "$0" /etc/resolv.conf; exec "$@"'
    const program = ['/usr/bin/python3', scriptPath('cloud_init.py'), url]
    const text = await run('ip', [
      'netns',
      'exec',
      placed.netns,
      'sh',
      '-ec',
      command,
      resolver,
      ...program,
    ])
    return JSON.parse(text) as CloudInitReport
  }

  #close(): void {
    this.#sockets.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Resolves once a proxy answers each guest with anything. */
export async function untilServed(
  networks: GuestNetworks,
  place: Place,
  name: string,
): Promise<void> {
  for (const placed of networks.guests) {
    await untilReady(place, name, async () => {
      await networks.ask(placed, '/')
      return true
    })
  }
}

const interfaceIndexes = new WeakMap<PlacedGuest, number>()

function guestInterface(placed: PlacedGuest): number {
  const known = interfaceIndexes.get(placed)
  if (known !== undefined) return known
  const [line = ''] = inNetns(placed.netns, 'ip', '-o', 'link', 'show', 'eth0').split(':')
  interfaceIndexes.set(placed, Number(line))
  return Number(line)
}
