/** What may the programs that the opener starts do? Nothing, unless it says so for one of them. */
import { readdirSync, readFileSync } from 'node:fs'
import { callLibc, SystemCallError } from '../linux/libc.ts'

/** @see linux/prctl.h, linux/securebits.h, linux/capability.h */
const control = {
  dropFromBoundingSet: 24,
  setSecureBits: 28,
  setNoNewPrivileges: 38,
  ambient: 47,
  ambientRaise: 2,
  ambientClearAll: 4,
  noRoot: 0x1,
  noRootLocked: 0x2,
} as const

const capabilities = {
  dacReadSearch: 2,
  setGroupId: 6,
  setUserId: 7,
  netAdmin: 12,
  sysAdmin: 21,
} as const
const ofInterception = [capabilities.netAdmin, capabilities.sysAdmin]
const interceptionCapabilities = ofInterception.reduce((mask, bit) => mask | (1 << bit), 0)
/** What a worker holds until it has loaded its program and gives up being root. */
const ofStartingWorkers = [
  capabilities.dacReadSearch,
  capabilities.setGroupId,
  capabilities.setUserId,
]

/** What the programs that are going to be started need. */
export interface ChildrenNeeds {
  /** Workers begin as root, read their program wherever it lies, and then become another user by themselves. */
  readonly workersChangeUser: boolean
  /** A program is going to be started by {@link withInterceptionCapabilities}. */
  readonly interception: boolean
}

/**
 * Leaves every program started from this thread without capabilities, for good, but for what is named here: none ambient, none
 * inheritable, none by files (`no_new_privs`). The opener itself keeps what it has. Call it on the main thread before the first
 * child is started.
 *
 * Where workers change their user, the bounding set says what a child gets by being root: three capabilities, none of which lets it
 * touch the network. Ambient capabilities would not do: they must be inheritable, and of that set a process of several threads can
 * empty its own thread's alone. Where workers stay who they are, being root gives a child nothing at all (`SECBIT_NOROOT`).
 * @returns false where this may not be set (no CAP_SETPCAP): then a worker has all of root's until it is another user
 */
export function restrictChildren(needs: ChildrenNeeds): boolean {
  callLibc('prctl', control.setNoNewPrivileges, 1, 0, 0, 0)
  callLibc('prctl', control.ambient, control.ambientClearAll, 0, 0, 0)
  setInheritable(() => 0)
  try {
    if (needs.workersChangeUser) {
      limitBoundingSet([...ofStartingWorkers, ...(needs.interception ? ofInterception : [])])
    } else {
      callLibc('prctl', control.setSecureBits, control.noRoot | control.noRootLocked, 0, 0, 0)
    }
  } catch (cause) {
    if (cause instanceof SystemCallError && cause.errnoName === 'EPERM') return false
    throw cause
  }
  return true
}

/** Far more than the kernel has; it refuses the first number it does not know. */
const mostCapabilities = 64

function limitBoundingSet(kept: readonly number[]): void {
  for (let capability = 0; capability < mostCapabilities; capability += 1) {
    if (kept.includes(capability)) continue
    try {
      callLibc('prctl', control.dropFromBoundingSet, capability, 0, 0, 0)
    } catch (cause) {
      if (cause instanceof SystemCallError && cause.errnoName === 'EINVAL') return
      throw cause
    }
  }
}

/**
 * Starts one program, synchronously, that does keep CAP_NET_ADMIN and CAP_SYS_ADMIN: `nft` in a router's namespace. It keeps
 * them as ambient capabilities, so it needs not be root by name.
 */
export function withInterceptionCapabilities<Value>(start: () => Value): Value {
  // Only what is inheritable may be ambient, and it is neither for longer than the start takes: workers get nothing of it.
  const before = setInheritable((inheritable) => inheritable | interceptionCapabilities)
  for (const capability of ofInterception) raiseAmbient(capability)
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

/** Whom every thread of a process must run as. */
export interface WantedAccount {
  readonly userId: number
  readonly groupId: number
}

/**
 * Asks the kernel about every thread of a process, because each has privileges of its own. The opener does so before it trusts
 * a worker with a socket.
 * @param account absent when the process may be whoever it is; capabilities it may not have in any case
 * @returns why the process is not to be trusted, `undefined` when it is without privileges
 * @throws NodeJS.ErrnoException when the process is gone
 */
export function whyPrivileged(pid: number, account?: WantedAccount): string | undefined {
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const why = whyThreadPrivileged(`/proc/${pid}/task/${thread}/status`, account)
    if (why !== undefined) return why
  }
  return undefined
}

function whyThreadPrivileged(
  statusFile: string,
  account: WantedAccount | undefined,
): string | undefined {
  const status = readFileSync(statusFile, 'utf8')
  const field = (name: string): string[] =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1]?.trim().split(/\s+/) ?? ['absent']
  for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
    if (!/^0+$/.test(field(name).join())) return `kept capabilities (${name} ${field(name).join()})`
  }
  if (field('NoNewPrivs').join() !== '1') return 'may gain privileges'
  if (account === undefined) return undefined
  const { userId, groupId } = account
  const isOnly = (ids: readonly string[], wanted: number): boolean =>
    ids.length === 4 && ids.every((id) => id === String(wanted))
  if (!isOnly(field('Uid'), userId)) return `runs as user ${field('Uid').join()}, not ${userId}`
  if (!isOnly(field('Gid'), groupId)) return `runs in group ${field('Gid').join()}, not ${groupId}`
  return field('Groups').join() === '' ? undefined : `kept the groups ${field('Groups').join()}`
}
