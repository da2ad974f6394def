/** How are rules in the language of nft loaded? By the library that the program `nft` is made of. */
import { closeSync } from 'node:fs'
import { createRequire } from 'node:module'
import type * as Koffi from 'koffi'
import type { Count } from '../../lib/runtime/clock.ts'
import { nftLibrary } from '../../lib/operator/nft-library.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { DeferredClose } from '../linux/deferred-close.ts'
import { linux, openSocket } from '../../lib/linux/libc.ts'
import { LowDescriptors } from '../linux/low-descriptors.ts'

/** @see nftables/libnftables.h, libnftables(3) */
interface Functions {
  readonly make: (flags: number) => unknown
  readonly free: (context: unknown) => void
  readonly keepErrors: (context: unknown) => number
  readonly errors: (context: unknown) => string | null
  readonly run: (context: unknown, commands: string) => number
}

/** @see linux/netlink.h */
const netfilterProtocol = 12
/** Each holds a netlink socket and some memory. */
const mostContexts: Count = 64
/** Of the library's error text; one bad rule can be quoted many times. */
const mostErrorText = 300

/** libnftables. It is loaded into this process when it is first needed. */
export class NftLibrary {
  readonly #file: string
  #functions: Functions | undefined
  readonly #contexts = new DeferredClose<unknown>(mostContexts, (context) =>
    this.#functions?.free(context),
  )
  /** The library waits with select(2). */
  readonly #low = new LowDescriptors(mostContexts)

  /** @param file name of the library, which the system looks for */
  constructor(file: string = nftLibrary.file) {
    this.#file = file
  }

  /** @returns what to install where the library cannot be loaded, `undefined` where it can */
  get missing(): string | undefined {
    try {
      this.#load()
      return undefined
    } catch (cause) {
      return causeText(cause)
    }
  }

  #load(): Functions {
    if (this.#functions !== undefined) return this.#functions
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi
    try {
      const library = koffi.load(this.#file)
      const bound = (prototype: string): unknown => library.func(prototype)
      this.#functions = {
        make: bound('void *nft_ctx_new(uint32_t)') as Functions['make'],
        free: bound('void nft_ctx_free(void *)') as Functions['free'],
        keepErrors: bound('int nft_ctx_buffer_error(void *)') as Functions['keepErrors'],
        errors: bound('const char *nft_ctx_get_error_buffer(void *)') as Functions['errors'],
        run: bound('int nft_run_cmd_from_buffer(void *, const char *)') as Functions['run'],
      }
      return this.#functions
    } catch (cause) {
      throw new Error(`${this.#file} cannot be loaded. ${nftLibrary.remedy}`, { cause })
    }
  }

  /**
   * Runs commands as `nft -f -` would, all of them or none, in the namespace the calling thread is in. It makes system calls
   * and nothing else, so it may run inside a window. Follow it with {@link release} when a batch is done.
   * @throws Error with what the library reports or what to install where it is missing; {SystemCallError} without a netlink socket
   */
  run(commands: string): void {
    const { make, keepErrors, run, errors } = this.#load()
    this.#contexts.makeRoom()
    const context = this.#low.use(() => {
      makeSureOfSocket()
      return make(0)
    })
    this.#contexts.add(context)
    keepErrors(context)
    if (run(context, commands) !== 0) {
      throw new Error(nftFailure(errors(context) ?? ''))
    }
  }

  /** Closes the sockets of past runs; until then they pin their namespaces. May be called anywhere, at any time. */
  release(): void {
    this.#contexts.closeAll()
    this.#low.refill()
  }
}

/** What mends an error of the kernel, by its words. */
const remedies: readonly (readonly [RegExp, string])[] = [
  [/Operation not permitted/, 'CAP_NET_ADMIN is missing'],
  [
    /No such file or directory|Operation not supported|Protocol not supported/,
    'the kernel lacks a module: modprobe nf_tables nft_chain_nat nft_redir nft_ct nft_fib_inet',
  ],
]

/** The library quotes each rule that failed and points at it; one line is enough. */
export function nftFailure(text: string): string {
  const first = text.split('\n').find((line) => line.includes('Error')) ?? text
  const error = first
    .replace(/^.*?Error:\s*/, '')
    .trim()
    .slice(0, mostErrorText)
  const remedy = remedies.find(([pattern]) => pattern.test(text))?.[1]
  return remedy === undefined ? `nftables: ${error}` : `${remedy} (nftables: ${error})`
}

/** Without a socket the library ends the process, so one is tried first. */
function makeSureOfSocket(): void {
  const fds: number[] = []
  try {
    // It opens some files besides.
    for (let count = 0; count < 3; count += 1) {
      fds.push(openSocket(linux.AF_NETLINK, linux.SOCK_RAW, netfilterProtocol))
    }
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}
