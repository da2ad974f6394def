/** What may the programs that the supervisor starts do? Nothing. */
import { readdirSync, readFileSync } from 'node:fs'
import { callLibc, isErrno } from '../../lib/linux/libc.ts'

/** @see linux/prctl.h, linux/securebits.h, linux/capability.h */
const control = {
  dropFromBoundingSet: 24,
  setSecureBits: 28,
  setNoNewPrivileges: 38,
  childSubreaper: 36,
  ambient: 47,
  ambientClearAll: 4,
  noRoot: 0x1,
  noRootLocked: 0x2,
} as const

/**
 * What a worker holds until it has loaded its program and gives up being root: CAP_DAC_READ_SEARCH, CAP_SETGID and CAP_SETUID.
 */
const ofStartingWorkers = [2, 6, 7]

/** What the bounding set of workers that change their user holds at most, as bits. It stays when they have, with whatever they start. */
export const mostOfWorkers = ofStartingWorkers.reduce((bits, one) => bits | (1n << BigInt(one)), 0n)

/**
 * Leaves every program started from this thread without capabilities, for good: none ambient, none
 * inheritable, none by files (`no_new_privs`). The supervisor itself keeps what it has. Call it on the main thread before the first
 * child is started.
 *
 * Where workers change their user, the bounding set decides what a child gets by being root: three capabilities, none of which lets it
 * touch the network. Ambient capabilities would not do: they must be inheritable, and of that set a process of several threads can
 * empty its own thread's alone. Where workers stay who they are, being root gives a child nothing at all (`SECBIT_NOROOT`).
 * @param workersChangeUser whether workers begin as root, read their program wherever it lies, and become another user by themselves
 * @returns false where this may not be set (no CAP_SETPCAP): then a worker has all of root's until it is another user
 */
export function restrictChildren(workersChangeUser: boolean): boolean {
  callLibc('prctl', control.setNoNewPrivileges, 1, 0, 0, 0)
  callLibc('prctl', control.ambient, control.ambientClearAll, 0, 0, 0)
  // Whatever a worker starts stays among our descendants, and is found there when the worker has ended.
  callLibc('prctl', control.childSubreaper, 1, 0, 0, 0)
  clearInheritable()
  try {
    if (workersChangeUser) {
      limitBoundingSet(ofStartingWorkers)
    } else {
      callLibc('prctl', control.setSecureBits, control.noRoot | control.noRootLocked, 0, 0, 0)
    }
  } catch (cause) {
    if (isErrno(cause, 'EPERM')) return false
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
      if (isErrno(cause, 'EINVAL')) return
      throw cause
    }
  }
}

const capabilityVersion3 = 0x20080522

function clearInheritable(): void {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(capabilityVersion3, 0)
  // Effective, permitted and inheritable, each in two halves.
  const data = Buffer.alloc(24)
  callLibc('capget', header, data)
  data.writeUInt32LE(0, 8)
  callLibc('capset', header, data)
}

/** Whom every thread of a process must run as. */
export interface WantedAccount {
  readonly userId: number
  readonly groupId: number
}

/**
 * Reads every thread of a process, because each has privileges of its own. The supervisor does so before it trusts
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
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8')
  return /^Max processes +0 +0 /m.test(limits) ? undefined : 'may start processes'
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
