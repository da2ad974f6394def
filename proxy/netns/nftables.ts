/** How are rules loaded without starting a program? By the library that `nft` itself is made of. */
import { closeSync } from 'node:fs'
import { createRequire } from 'node:module'
import type * as Koffi from 'koffi'
import type { Count } from '../../lib/clock.ts'
import { linux, openSocket } from './libc.ts'
import { LowDescriptors } from './low-descriptors.ts'
import { listByNetlink } from './netlink.ts'

/** The name by which libnftables has been installed since its first stable version. */
const libraryName = 'libnftables.so.1'

/** @see nftables/libnftables.h, libnftables(3) */
interface Functions {
  readonly make: (flags: number) => unknown
  readonly free: (context: unknown) => void
  readonly keepErrors: (context: unknown) => number
  readonly errors: (context: unknown) => string | null
  readonly run: (context: unknown, commands: string) => number
}

/**
 * Contexts that are kept a moment. The kernel frees replaced rules in the background, and closing a netlink socket waits for
 * that: 13 ms after each load. So the older half is closed at once, for which there is hardly anything to wait for any more.
 */
const mostKept: Count = 128
/** Of what the library has to say; one bad rule can be quoted many times. */
const mostErrorText = 2_000

/** libnftables, loaded into this process. */
export class NftLibrary {
  readonly #functions: Functions
  readonly #kept: unknown[] = []
  /** The library waits with select(2). */
  readonly #low = new LowDescriptors(mostKept)

  private constructor(functions: Functions) {
    this.#functions = functions
  }

  /** @returns `undefined` where the library is not installed */
  static load(): NftLibrary | undefined {
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi
    try {
      const library = koffi.load(libraryName)
      const bound = (prototype: string): unknown => library.func(prototype)
      return new NftLibrary({
        make: bound('void *nft_ctx_new(uint32_t)') as Functions['make'],
        free: bound('void nft_ctx_free(void *)') as Functions['free'],
        keepErrors: bound('int nft_ctx_buffer_error(void *)') as Functions['keepErrors'],
        errors: bound('const char *nft_ctx_get_error_buffer(void *)') as Functions['errors'],
        run: bound('int nft_run_cmd_from_buffer(void *, const char *)') as Functions['run'],
      })
    } catch {
      return undefined
    }
  }

  /**
   * Runs commands as `nft -f -` would, all of them or none, in the namespace the calling thread is in. It makes system calls
   * and nothing else, so it may run inside a window. Follow it with {@link release} when a batch is done.
   * @throws Error with what the library said, {SystemCallError} when no netlink socket can be had
   */
  run(commands: string): void {
    if (this.#kept.length >= mostKept) this.#free(this.#kept.splice(0, mostKept / 2))
    const { make, keepErrors, run, errors } = this.#functions
    const context = this.#low.use(() => {
      makeSureOfSocket()
      return make(0)
    })
    this.#kept.push(context)
    keepErrors(context)
    if (run(context, commands) !== 0) {
      throw new Error(`nftables refused: ${(errors(context) ?? '').trim().slice(0, mostErrorText)}`)
    }
  }

  /** Closes the sockets of past runs; until then they pin their namespaces. May be called anywhere, at any time. */
  release(): void {
    this.#free(this.#kept.splice(0))
  }

  #free(contexts: readonly unknown[]): void {
    for (const context of contexts) this.#functions.free(context)
    this.#low.refill()
  }
}

/** Without a socket the library ends the process, so one is tried first. */
function makeSureOfSocket(): void {
  const fds: number[] = []
  try {
    // It opens some files besides.
    for (let count = 0; count < 3; count += 1) {
      fds.push(openSocket(linux.AF_NETLINK, linux.SOCK_RAW, netfilter.protocol))
    }
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}

/** @see linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h */
const netfilter = {
  protocol: 12,
  getRule: (10 << 8) | 7,
  newRule: (10 << 8) | 6,
  familyInet: 1,
  attributeRuleTable: 1,
} as const

/**
 * Counts the rules of a table of the `inet` family in the namespace the calling thread is in: the cheapest way to see that
 * somebody has emptied or deleted it. System calls only.
 * @throws {SystemCallError} when netlink refuses
 */
export function countRules(table: string): Count {
  const name = Buffer.from(`${table}\0`)
  const attribute = Buffer.alloc((4 + name.length + 3) & ~3)
  attribute.writeUInt16LE(4 + name.length, 0)
  attribute.writeUInt16LE(netfilter.attributeRuleTable, 2)
  attribute.set(name, 4)
  const body = Buffer.concat([Buffer.from([netfilter.familyInet, 0, 0, 0]), attribute])
  let count = 0
  listByNetlink({ protocol: netfilter.protocol, type: netfilter.getRule, body }, (type) => {
    if (type === netfilter.newRule) count += 1
  })
  return count
}
