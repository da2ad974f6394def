/** How does this program reach system calls that Node does not offer? The only file that knows the FFI package. */
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import type * as Koffi from 'koffi'
import type { Bytes, Count } from '../runtime/clock.ts'

/** A system call that failed: `setns failed with EPERM`. `errnoName` is what callers compare. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError'
  readonly syscall: string
  readonly errnoName: string

  constructor(syscall: string, errno: number) {
    const errnoName = nameOfErrno(errno)
    super(`${syscall} failed with ${errnoName}`)
    this.syscall = syscall
    this.errnoName = errnoName
  }
}

/** True for a system call that failed with `errnoName`. */
export function isErrno(cause: unknown, errnoName: string): cause is SystemCallError {
  return cause instanceof SystemCallError && cause.errnoName === errnoName
}

/** Of two names for one number the first: EAGAIN, not EWOULDBLOCK. */
const errnoNames: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno)
    .toReversed()
    .map(([name, number]) => [number, name]),
)

/** `EAGAIN` for 11, and so on. */
export function nameOfErrno(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`
}

/** Numbers of the Linux ABI that x86-64 and arm64 share. @see the kernel's include/uapi */
export const linux = {
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_SEQPACKET: 5,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_TYPE: 3,
  SO_LINGER: 13,
  SO_PEERCRED: 17,
  SO_ACCEPTCONN: 30,
  IPPROTO_IP: 0,
  IP_FREEBIND: 15,
  IPPROTO_TCP: 6,
  TCP_NODELAY: 1,
  TCP_SAVE_SYN: 27,
  TCP_SAVED_SYN: 28,
  IPPROTO_IPV6: 41,
  IPV6_V6ONLY: 26,
  IPV6_FREEBIND: 78,
  CLONE_NEWNET: 0x40000000,
  F_GETFL: 3,
  F_SETFL: 4,
  F_DUPFD_CLOEXEC: 1030,
  MSG_DONTWAIT: 0x40,
  MSG_NOSIGNAL: 0x4000,
  MSG_CMSG_CLOEXEC: 0x40000000,
  SCM_RIGHTS: 1,
} as const

/** Memory that does not move, for structures that hold pointers to each other. */
export interface StableMemory {
  readonly address: bigint
  readonly bytes: Buffer
}

type Value = number | bigint | string | Uint8Array
type Call = (...values: Value[]) => number

interface Bindings {
  readonly koffi: typeof Koffi
  readonly library: Koffi.LibraryHandle
  readonly call: (name: CallName, ...values: Value[]) => number
  readonly stable: (length: Bytes) => StableMemory
  readonly getsockopt: NumericCall
  readonly savedSyn: StableMemory
  readonly savedSynLength: StableMemory
  readonly message: StableMemory
}

const prototypes = {
  setns: 'int setns(int, int)',
  socket: 'int socket(int, int, int)',
  socketpair: 'int socketpair(int, int, int, void *)',
  pipe2: 'int pipe2(void *, int)',
  shutdown: 'int shutdown(int, int)',
  setsockopt: 'int setsockopt(int, int, int, const void *, uint32_t)',
  getsockopt: 'int getsockopt(int, int, int, void *, void *)',
  bind: 'int bind(int, const void *, uint32_t)',
  listen: 'int listen(int, int)',
  connect: 'int connect(int, const void *, uint32_t)',
  send: 'int64_t send(int, const void *, size_t, int)',
  recv: 'int64_t recv(int, void *, size_t, int)',
  sendto: 'int64_t sendto(int, const void *, size_t, int, const void *, uint32_t)',
  sendmsg: 'int64_t sendmsg(int, const void *, int)',
  recvmsg: 'int64_t recvmsg(int, void *, int)',
  prctl: 'int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)',
  if_nametoindex: 'int if_nametoindex(const char *)',
  if_indextoname: 'int64_t if_indextoname(unsigned int, void *)',
  capget: 'int capget(void *, void *)',
  capset: 'int capset(void *, const void *)',
  mkfifo: 'int mkfifo(const char *, unsigned int)',
  accept4: 'int accept4(int, void *, void *, int)',
  getsockname: 'int getsockname(int, void *, void *)',
  getpeername: 'int getpeername(int, void *, void *)',
  fcntl: 'int fcntl(int, int, int)',
  ioctl: 'int ioctl(int, unsigned long, void *)',
  poll: 'int poll(void *, unsigned long, int)',
  unshare: 'int unshare(int)',
  mount: 'int mount(const char *, const char *, const char *, unsigned long, uint64_t)',
  umount2: 'int umount2(const char *, int)',
  setrlimit: 'int setrlimit(int, const void *)',
  waitpid: 'int waitpid(int, void *, int)',
  syscall: 'int64_t syscall(int64_t, int64_t, int64_t, int64_t, int64_t)',
} as const
type CallName = keyof typeof prototypes

/** With addresses, which cost less than buffers do. */
const getsockopt = 'int getsockopt(int, int, int, uint64_t, uint64_t)'

/** Loaded at the first use, so that importing is safe where there is no Linux. */
const bindings = once(load)

function once<Value>(make: () => Value): () => Value {
  let made: Value | undefined
  return () => (made ??= make())
}

function load(): Bindings {
  if (process.platform !== 'linux') {
    throw new Error(`Cannot use Linux system calls: this is ${process.platform}`)
  }
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi
  const library = koffi.load(null)
  const calls = new Map<string, Call>()
  const stable = (length: number): StableMemory => {
    const pointer: unknown = koffi.alloc('uint8_t', length)
    return { address: koffi.address(pointer), bytes: Buffer.from(koffi.view(pointer, length)) }
  }
  return {
    koffi,
    library,
    stable,
    call(name, ...values) {
      let call = calls.get(name)
      if (call === undefined) {
        call = library.func(prototypes[name]) as Call
        calls.set(name, call)
      }
      const result = call(...values)
      if (result < 0) throw new SystemCallError(name, koffi.errno())
      return result
    },
    savedSyn: stable(savedSynBytes),
    savedSynLength: stable(4),
    getsockopt: library.func(getsockopt) as NumericCall,
    message: stable(longestMessage),
  }
}

/** Of a structure with everything that it points to. */
const longestMessage: Bytes = 2_048

/** Memory for a structure that is valid until the next call that uses some. @throws RangeError when there is not so much */
export function messageMemory(length: Bytes): StableMemory {
  if (length > longestMessage) throw new RangeError('A message is too long')
  return bindings().message
}

/** Memory of one's own that stays for as long as the process does. */
export function stableMemory(length: Bytes): StableMemory {
  return bindings().stable(length)
}

/** A system call of numbers that returns its failure as a negative errno. */
export type NumericCall = (...values: number[]) => number

/**
 * Declares a call that is too frequent for an error object at each failure: it returns a negative number then, and {@link lastErrno} has the reason.
 * @param prototype as C has it, with `uint64_t` for pointers into {@link stableMemory}
 */
export function declareCall(prototype: string): NumericCall {
  return bindings().library.func(prototype) as NumericCall
}

/** Why the last of these calls failed. */
export function lastErrno(): number {
  return bindings().koffi.errno()
}

/** A descriptor that the event loop waits for. It keeps the process alive between `ref` and `unref`. */
export type Waiting = Pick<Koffi.node.PollHandle, 'ref' | 'unref' | 'close'>

/**
 * Calls back from the event loop whenever there is something to read.
 * @throws Error for a descriptor that cannot be waited for
 */
export function watchReadable(fd: number, onReadable: () => void): Waiting {
  return bindings().koffi.node.poll(fd, { readable: true }, onReadable)
}

/** Loads the FFI package now, for a process that will not be able to read it later. */
export function bindLibc(): void {
  bindings()
}

/**
 * Makes a call that has no function of its own here.
 * @throws {SystemCallError} when the result is negative
 */
export function callLibc(name: CallName, ...values: Value[]): number {
  return bindings().call(name, ...values)
}

/** Moves the calling thread, and no other, into a network namespace. Only window.ts may call it. */
export function setNetworkNamespace(fd: number): void {
  bindings().call('setns', fd, linux.CLONE_NEWNET)
}

/** Moves the calling thread, and no other, into a network namespace that it makes. Only window.ts may call it. */
export function makeNetworkNamespace(): void {
  bindings().call('unshare', linux.CLONE_NEWNET)
}

/** @see linux/prctl.h */
const setDumpable = 4

/** Keeps other processes of the same user out of this one's memory and descriptors. */
export function forbidTracing(): void {
  bindings().call('prctl', setDumpable, 0, 0, 0, 0)
}

/** @returns a descriptor that is closed on exec */
export function openSocket(family: number, type: number, protocol = 0): number {
  return bindings().call('socket', family, type | linux.SOCK_CLOEXEC, protocol)
}

/** Two connected ends of a SOCK_SEQPACKET pair, both closed on exec. */
export function openSocketPair(): readonly [number, number] {
  const ends = Buffer.alloc(8)
  bindings().call(
    'socketpair',
    linux.AF_UNIX,
    linux.SOCK_SEQPACKET | linux.SOCK_CLOEXEC | linux.SOCK_NONBLOCK,
    0,
    ends,
  )
  return [ends.readInt32LE(0), ends.readInt32LE(4)]
}

/** A pipe, both ends closed on exec. @returns the end for reading, then that for writing */
export function openPipe(): readonly [number, number] {
  const ends = Buffer.alloc(8)
  bindings().call('pipe2', ends, linux.SOCK_CLOEXEC)
  return [ends.readInt32LE(0), ends.readInt32LE(4)]
}

/** Lets no process send anything to this end of a connection from now on, descriptors included. */
export function stopReceiving(fd: number): void {
  bindings().call('shutdown', fd, 0)
}

/** Sets an option whose value is one 32-bit number. @throws {SystemCallError} */
export function setSocketOption(fd: number, level: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  bindings().call('setsockopt', fd, level, option, bytes, 4)
}

/** Binds to a `sockaddr`. @throws {SystemCallError} EADDRINUSE when another socket has it */
export function bindSocket(fd: number, address: Uint8Array): void {
  bindings().call('bind', fd, address, address.length)
}

/** Lets a bound socket accept. @throws {SystemCallError} */
export function listenSocket(fd: number, backlog: Count): void {
  bindings().call('listen', fd, backlog)
}

/** Begins to connect. On a non-blocking socket it comes back at once; whoever polls the socket learns how it went. */
export function connectSocket(fd: number, address: Uint8Array): void {
  try {
    bindings().call('connect', fd, address, address.length)
  } catch (cause) {
    if (!isErrno(cause, 'EINPROGRESS')) throw cause
  }
}

/** Sends without a signal when the other side is gone. @returns how many bytes were taken */
export function sendBytes(fd: number, bytes: Uint8Array): number {
  return bindings().call('send', fd, bytes, bytes.length, linux.MSG_NOSIGNAL)
}

/** Never waits. @throws {SystemCallError} EAGAIN when nothing is there */
export function receiveBytes(fd: number, into: Uint8Array): number {
  return bindings().call('recv', fd, into, into.length, linux.MSG_DONTWAIT)
}

/** @see poll(2) */
const poll = { entryBytes: 8, eventsAt: 4, answerAt: 6, readable: 1 } as const

/** Which of some descriptors have something to read, or an error, by their place. Never waits. */
export function pollReadable(fds: readonly number[]): ReadonlySet<number> {
  const entries = Buffer.alloc(fds.length * poll.entryBytes)
  fds.forEach((fd, index) => {
    entries.writeInt32LE(fd, index * poll.entryBytes)
    entries.writeInt16LE(poll.readable, index * poll.entryBytes + poll.eventsAt)
  })
  if (fds.length === 0 || bindings().call('poll', entries, fds.length, 0) === 0) return new Set()
  const places = fds.map((_fd, index) => index)
  return new Set(
    places.filter((index) => entries.readInt16LE(index * poll.entryBytes + poll.answerAt) !== 0),
  )
}

/** Link header, IPv6 with extension headers, TCP with options: a first SYN is far smaller than this. */
const savedSynBytes = 512

/**
 * The SYN that began an accepted connection, from its Ethernet header on (`TCP_SAVE_SYN` = 2 on the listener). The kernel
 * frees it at the first read, so read it once. The bytes are valid until the next call.
 * @returns `undefined` when the kernel has none: SYN cookies, old kernels, sockets of another kind
 */
export function savedSyn(fd: number): Uint8Array | undefined {
  const { getsockopt, savedSyn, savedSynLength } = bindings()
  const { address, bytes } = savedSynLength
  bytes.writeUInt32LE(savedSynBytes)
  const { IPPROTO_TCP, TCP_SAVED_SYN } = linux
  const into = Number(savedSyn.address)
  if (getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, into, Number(address)) < 0) return undefined
  const length = bytes.readUInt32LE()
  return length === 0 ? undefined : savedSyn.bytes.subarray(0, length)
}
