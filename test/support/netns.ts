/** How do tests get real namespaces with real guests in them, and leave nothing behind? */
import { execFile, execFileSync, type ExecFileException } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { deleteNetns, ipBatch, uniqueName } from './ip-command.ts'
import { layCables, neutronDevice, type CableEnd, type LinksMade } from './made-links.ts'

import type { Teardowns } from './teardowns.ts'

export { deleteNetns, ipBatch, uniqueName } from './ip-command.ts'

/** One namespace of the host side (`qrouter-…`), with one interface and, where wanted, one guest behind it. */
export interface NamespaceSpec {
  /** Name under /run/netns. */
  readonly netns: string
  /** Interface inside the namespace; a router's as Neutron names it by default. Absent addresses leave it unconfigured but up. */
  readonly interface?: string
  /** Addresses with prefix of that interface, `10.0.0.1/24`. Duplicate address detection is off. */
  readonly addresses?: readonly string[]
  readonly guest?: GuestSpec
  /** How the guest's cable came to be. @default 'host' */
  readonly linksMade?: LinksMade
}

export interface GuestSpec {
  /** Name of the guest's own namespace; made up when absent. */
  readonly netns?: string
  /** Addresses with prefix of its `eth0`. */
  readonly addresses: readonly string[]
  readonly mac?: string
  /** Next hop of the default routes, one a family: `10.0.0.1`, `fe80::1`. */
  readonly via?: readonly string[]
}

export interface MadeNamespace {
  readonly netns: string
  readonly path: string
  readonly interface: string
  /** Name of the guest's namespace, when one was asked for. */
  readonly guest?: string
}

/**
 * Tells whether namespaces can be made here. When not, the file's plan is skipped with the reason, or fails where
 * `OVERLAPD_TEST_REQUIRE_PRIVILEGE=1` says that a skip would hide something. Call it first and return when it is false.
 */
export function skipUnlessPrivileged(t: Test): boolean {
  const reason = whyNotPrivileged()
  if (reason === undefined) return true
  if (process.env['OVERLAPD_TEST_REQUIRE_PRIVILEGE'] === '1') t.fail(reason)
  else t.plan(0, reason)
  return false
}

function whyNotPrivileged(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces exist on Linux only'
  if (process.getuid?.() !== 0) return 'making network namespaces needs root'
  const probe = uniqueName('ovt-probe-')
  try {
    execFileSync('ip', ['netns', 'add', probe], { stdio: 'pipe' })
    execFileSync('ip', ['netns', 'exec', probe, 'true'], { stdio: 'pipe' })
  } catch (cause) {
    return `this system refuses network namespaces: ${String(cause).split('\n')[0] ?? ''}`
  } finally {
    deleteNetns(probe)
  }
  return undefined
}

/** Makes empty namespaces at once, loopback up, and removes them in teardown. */
export function makeEmptyNamespaces(t: Teardowns, names: readonly string[]): void {
  t.teardown(() => deleteAll(names))
  ipBatch(names.map((name) => `netns add ${name}`))
}

function deleteAll(names: readonly string[]): void {
  try {
    ipBatch(names.map((name) => `netns delete ${name}`))
  } catch {
    for (const name of names) deleteNetns(name)
  }
}

/** Makes namespaces with their interfaces and guests, and removes them in teardown. */
export function makeNamespaces(t: Teardowns, specs: readonly NamespaceSpec[]): MadeNamespace[] {
  const guests = specs.map((spec) => spec.guest && (spec.guest.netns ?? uniqueName('ovt-guest-')))
  makeEmptyNamespaces(t, [
    ...specs.map((spec) => spec.netns),
    ...guests.filter((guest) => guest !== undefined),
  ])
  const made = specs.map((spec, index): MadeNamespace => {
    const guest = guests[index]
    return {
      netns: spec.netns,
      path: `/run/netns/${spec.netns}`,
      interface: spec.interface ?? neutronDevice('qr-'),
      ...(guest !== undefined && { guest }),
    }
  })
  for (const linksMade of ['host', 'inside'] as const) {
    const cables = specs.flatMap((spec, index) =>
      (spec.linksMade ?? 'host') === linksMade ? cablesOf(spec, made[index]) : [],
    )
    layCables(cables, linksMade)
  }
  for (const [index, spec] of specs.entries()) {
    const { netns, interface: device, guest } = made[index]!
    if (guest === undefined) ipBatch([`link add ${device} type dummy`], netns)
    configure(netns, device, spec.addresses ?? [])
    if (guest !== undefined) configure(guest, 'eth0', spec.guest?.addresses ?? [], spec.guest?.via)
  }
  return made
}

function cablesOf(
  { guest }: NamespaceSpec,
  made: MadeNamespace | undefined,
): readonly (readonly [CableEnd, CableEnd])[] {
  if (guest === undefined || made?.guest === undefined) return []
  const mac = guest.mac === undefined ? {} : { mac: guest.mac }
  return [
    [
      { netns: made.netns, device: made.interface },
      { netns: made.guest, device: 'eth0', ...mac },
    ],
  ]
}

function configure(
  netns: string,
  name: string,
  addresses: readonly string[],
  via: readonly string[] = [],
): void {
  ipBatch(
    [
      'link set lo up',
      `link set ${name} up`,
      ...addresses.map(
        (text) => `addr add ${text} dev ${name}${text.includes(':') ? ' nodad' : ''}`,
      ),
      ...via.map((hop) => `route add default via ${hop} dev ${name}`),
    ],
    netns,
  )
}

/** What a program inside a namespace printed, and how it ended. */
export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program inside a namespace; a failing one is an answer, not an exception. */
export function runInNetns(
  netns: string,
  command: readonly string[],
  input?: string | Uint8Array,
): Promise<Ran> {
  return runProgram(['ip', 'netns', 'exec', netns, ...command], input)
}

/** Runs a program; a failing one is an answer, not an exception. */
export function runProgram(
  [program = 'true', ...words]: readonly string[],
  input?: string | Uint8Array,
): Promise<Ran> {
  return new Promise((resolve) => {
    const done = (cause: ExecFileException | null, stdout: Buffer, stderr: Buffer): void => {
      const code = cause === null ? 0 : typeof cause.code === 'number' ? cause.code : 255
      resolve({ code, stdout: stdout.toString('latin1'), stderr: stderr.toString('latin1') })
    }
    const options = { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 } as const
    const child = execFile(program, words, options, done)
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

/**
 * Connects from a guest to a TCP port, sends bytes, and gives everything that comes back until the other side ends.
 * `stdout` holds the bytes as latin1; `code` is 0 after an answer, 3 when the connection was refused or timed out.
 */
export function exchangeFrom(
  guest: string,
  host: string,
  tcpPort: number,
  bytes: string | Uint8Array,
): Promise<Ran> {
  const client = fileURLToPath(new URL('guest-client.mjs', import.meta.url))
  return runInNetns(guest, [process.execPath, client, host, String(tcpPort)], bytes)
}

/** Fetches a path as a guest does: one connection, `Connection: close`. */
export function fetchFrom(guest: string, path: string, host = '169.254.169.254'): Promise<Ran> {
  const authority = host.includes(':') ? `[${host.replace(/%.*/, '')}]` : host
  return exchangeFrom(
    guest,
    host,
    80,
    `GET ${path} HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`,
  )
}
