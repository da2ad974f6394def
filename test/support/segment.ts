/** How do tests get a tenant's network: a switch, the namespace that serves it, and guests who may say they are anybody? */
import { execFileSync } from 'node:child_process'
import type { Test } from 'tap'
import { layCables, type LinksMade } from './made-links.ts'
import { ipBatch, makeEmptyNamespaces, uniqueName } from './netns.ts'

/** One end in a service namespace: a `qr-` device of a router, the `tap` of a DHCP or OVN namespace. */
export interface DevicePlan {
  /** The namespace, which exists already. */
  readonly netns: string
  readonly device: string
  readonly mac?: string
  /** With prefix; IPv6 without duplicate address detection. */
  readonly addresses: readonly string[]
}

export interface GuestPlan {
  readonly mac: string
  /** With prefix, without link-local ones. */
  readonly addresses?: readonly string[]
  /** How the link-local address comes about: the kernel's modes, or the address itself with its prefix. */
  readonly linkLocal?: 'eui64' | 'stable_secret' | 'random' | `fe80::${string}`
  /** `PREFIX via HOP`, one route each. */
  readonly routes?: readonly string[]
  /** `ADDRESS lladdr MAC`: next hops that it need not ask for. */
  readonly neighbours?: readonly string[]
}

/** A machine on a segment. Its user is root there: MAC and addresses are what it says they are. */
export interface Guest {
  readonly netns: string
  readonly interfaceIndex: number
  readonly plan: GuestPlan
  /** Its place on the switch. */
  readonly port: string
}

/** A switch in a namespace of its own, as one network of one host is. */
export class Segment {
  readonly #t: Test
  readonly #switch = uniqueName('ovt-sw-')
  readonly #linksMade: LinksMade
  #ports = 0

  constructor(t: Test, linksMade: LinksMade = 'host') {
    this.#t = t
    this.#linksMade = linksMade
    makeEmptyNamespaces(t, [this.#switch])
    ipBatch(
      [
        'link set lo up',
        'link add br0 type bridge forward_delay 0 mcast_snooping 0',
        'link set br0 addrgenmode none up',
      ],
      this.#switch,
    )
  }

  /** Plugs a service namespace in. */
  attach({ netns, device, mac, addresses }: DevicePlan): void {
    this.#plug(netns, device, mac)
    ipBatch(
      [
        'link set lo up',
        `link set ${device} addrgenmode none up`,
        ...addresses.map((text) => `addr add ${text} dev ${device}${nodad(text)}`),
      ],
      netns,
    )
  }

  /** Plugs a new machine in. */
  addGuest(plan: GuestPlan): Guest {
    const netns = uniqueName('ovt-vm-')
    makeEmptyNamespaces(this.#t, [netns])
    const port = this.#plug(netns, 'eth0', plan.mac)
    // Nothing answers a guest that is refused in silence; the kernel gives up after two tries instead of seven.
    setKernel(netns, ['net.ipv4.tcp_syn_retries=1'])
    configure(netns, plan)
    return { netns, interfaceIndex: indexOf(netns, 'eth0'), plan, port }
  }

  /** Lets a guest's cable hang loose, or plugs it in again. It keeps what it is; the switch forgets where it was. */
  setPlugged(guest: Guest, isPlugged: boolean): void {
    ipBatch([`link set ${guest.port} ${isPlugged ? 'up' : 'down'}`], this.#switch)
  }

  #plug(netns: string, device: string, mac: string | undefined): string {
    this.#ports += 1
    const port = `p${this.#ports}`
    layCables(
      [
        [
          { netns, device, ...(mac !== undefined && { mac }) },
          { netns: this.#switch, device: port },
        ],
      ],
      this.#linksMade,
    )
    ipBatch([`link set ${port} addrgenmode none master br0 up`], this.#switch)
    return port
  }
}

/** Lets a guest become somebody else: everything it was is forgotten first. */
export function become(guest: Guest, plan: GuestPlan): Guest {
  ipBatch(
    ['link set eth0 down', 'addr flush dev eth0', `link set eth0 address ${plan.mac}`],
    guest.netns,
  )
  configure(guest.netns, plan)
  return { ...guest, plan }
}

function configure(
  netns: string,
  { addresses = [], linkLocal, routes = [], neighbours = [], mac }: GuestPlan,
): void {
  const isMade = linkLocal === undefined || linkLocal === 'eui64' || linkLocal.startsWith('fe80::')
  const made = linkLocal === undefined || linkLocal === 'eui64' ? eui64Of(mac) : linkLocal
  setKernel(netns, ['net.ipv6.conf.eth0.accept_dad=0', 'net.ipv6.conf.eth0.dad_transmits=0'])
  if (linkLocal === 'stable_secret') {
    setKernel(netns, ['net.ipv6.conf.eth0.stable_secret=2001:db8::5ec:2e7'])
  }
  ipBatch(
    [
      'link set lo up',
      `link set eth0 addrgenmode ${isMade ? 'none' : linkLocal} up`,
      ...[...addresses, ...(isMade ? [made] : [])].map(
        (text) => `addr add ${text} dev eth0${nodad(text)}`,
      ),
      ...routes.map((route) => `route replace ${route} dev eth0`),
      ...neighbours.map((entry) => `neigh replace ${entry} dev eth0`),
    ],
    netns,
  )
}

function nodad(address: string): string {
  return address.includes(':') ? ' nodad' : ''
}

/** The link-local address that holds a MAC, with its prefix. */
export function eui64Of(mac: string): `fe80::${string}` {
  const [first = 0, ...rest] = mac.split(':').map((octet) => Number.parseInt(octet, 16))
  const octets = [first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)]
  const words = [0, 2, 4, 6].map((at) =>
    (((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)).toString(16),
  )
  return `fe80::${words.join(':')}/64`
}

/** Sets kernel parameters of one namespace. */
export function setKernel(netns: string, settings: readonly string[]): void {
  execFileSync('ip', ['netns', 'exec', netns, 'sysctl', '-qw', ...settings], { stdio: 'pipe' })
}

/** The addresses of a device that the kernel uses. */
export function addressesOf(netns: string, device: string): readonly string[] {
  const text = execFileSync('ip', ['-n', netns, '-o', 'addr', 'show', 'dev', device], {
    encoding: 'utf8',
  })
  return [...text.matchAll(/ inet6? ([^/ ]+)/g)].map(([, address]) => address ?? '')
}

function indexOf(netns: string, device: string): number {
  const text = execFileSync('ip', ['-n', netns, '-o', 'link', 'show', 'dev', device], {
    encoding: 'utf8',
  })
  return Number.parseInt(text, 10)
}
