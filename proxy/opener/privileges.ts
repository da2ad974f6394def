/** What may the programs that the opener starts do? Nothing, unless it says so for one of them. */
import { readFileSync } from 'node:fs'
import { callLibc, SystemCallError } from '../netns/libc.ts'

/** @see linux/prctl.h, linux/securebits.h, linux/capability.h */
const control = {
  setSecureBits: 28,
  setNoNewPrivileges: 38,
  ambient: 47,
  ambientRaise: 2,
  ambientClearAll: 4,
  noRoot: 0x1,
  noRootLocked: 0x2,
} as const

const capabilities = { netAdmin: 12, sysAdmin: 21 } as const
const interceptionCapabilities = (1 << capabilities.netAdmin) | (1 << capabilities.sysAdmin)

/**
 * Makes every program started from this thread begin without capabilities, for good: none by being root (`SECBIT_NOROOT`), none
 * ambient, none by files (`no_new_privs`). The opener itself keeps what it has. Call it on the main thread before the first
 * child is started.
 * @returns false where the secure bits may not be set (no CAP_SETPCAP): then a child loses its capabilities by not being root
 */
export function startChildrenWithoutCapabilities(): boolean {
  callLibc('prctl', control.setNoNewPrivileges, 1, 0, 0, 0)
  callLibc('prctl', control.ambient, control.ambientClearAll, 0, 0, 0)
  setInheritable(() => 0)
  try {
    callLibc('prctl', control.setSecureBits, control.noRoot | control.noRootLocked, 0, 0, 0)
  } catch (cause) {
    if (cause instanceof SystemCallError && cause.errnoName === 'EPERM') return false
    throw cause
  }
  return true
}

/**
 * Starts one program, synchronously, that does keep CAP_NET_ADMIN and CAP_SYS_ADMIN: `nft` in a router's namespace. It keeps
 * them as ambient capabilities, so it needs not be root by name.
 */
export function withInterceptionCapabilities<Value>(start: () => Value): Value {
  // Only what is inheritable may be ambient, and it is neither for longer than the start takes: workers get nothing of it.
  const before = setInheritable((inheritable) => inheritable | interceptionCapabilities)
  for (const capability of Object.values(capabilities)) raiseAmbient(capability)
  try {
    return start()
  } finally {
    callLibc('prctl', control.ambient, control.ambientClearAll, 0, 0, 0)
    setInheritable(() => before)
  }
}

function raiseAmbient(capability: number): void {
  try {
    callLibc('prctl', control.ambient, control.ambientRaise, capability, 0, 0)
  } catch (cause) {
    // Without the secure bits there is nothing inheritable, and root gets its capabilities as it always did.
    if (!(cause instanceof SystemCallError)) throw cause
  }
}

const capabilityVersion3 = 0x20080522

/** Changes the inheritable set within what is permitted. @returns what it was */
function setInheritable(change: (inheritable: number) => number): number {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(capabilityVersion3, 0)
  const data = Buffer.alloc(24)
  callLibc('capget', header, data)
  const permitted = data.readUInt32LE(4)
  const before = data.readUInt32LE(8)
  data.writeUInt32LE((change(before) & (permitted | before)) >>> 0, 8)
  callLibc('capset', header, data)
  return before
}

/** What a process has left of privileges; read by the opener before it trusts a worker with a socket. */
export interface ProcessPrivileges {
  /** User id of the main thread, effective. */
  readonly userId: number
  readonly noNewPrivileges: boolean
  /** No capability is permitted, effective, inheritable or ambient. */
  readonly hasNoCapabilities: boolean
}

/** @throws NodeJS.ErrnoException when the process is gone */
export function privilegesOf(pid: number): ProcessPrivileges {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const field = (name: string): string =>
    new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? ''
  return {
    userId: Number(field('Uid').split(/\s+/)[1]),
    noNewPrivileges: field('NoNewPrivs') === '1',
    hasNoCapabilities: ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].every((name) =>
      /^0+$/.test(field(name)),
    ),
  }
}
