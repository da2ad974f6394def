/** How is a system call made inside another network namespace? The only enter/leave pair of the program; read README.md first. */
import { writeSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { makeNetworkNamespace, setNetworkNamespace } from '../../lib/linux/libc.ts'
import { openNamespace, type NamespaceHandle, type NamespaceKey } from './namespace-handle.ts'

const ownNamespace = '/proc/thread-self/ns/net'

/** Lets synchronous system calls run in other namespaces. One per process, made by {@link openWindow}. */
export class NamespaceWindow {
  readonly #home: NamespaceHandle
  #inside = false

  constructor(home: NamespaceHandle) {
    this.#home = home
  }

  /** The namespace this process lives in, in which it never listens for guests. */
  get homeKey(): NamespaceKey {
    return this.#home.key
  }

  /**
   * Runs `work` with the calling thread inside the namespace. `work` may make system calls and nothing else: no promise, no
   * callback, no Node API that could start a thread or defer a step. When the way back fails the process ends at once, because
   * everything it did from then on would happen in a tenant's network.
   */
  run<Value>(handle: NamespaceHandle, work: () => Value): Value {
    return this.#enter(() => setNetworkNamespace(handle.fd), work)
  }

  /**
   * The same in a namespace that is made for it, and that is gone afterwards unless `work` has given it a name.
   * @throws {SystemCallError} when none can be made
   */
  runInNew<Value>(work: () => Value): Value {
    return this.#enter(makeNetworkNamespace, work)
  }

  #enter<Value>(enter: () => void, work: () => Value): Value {
    if (this.#inside) throw new TypeError('Cannot enter a namespace from inside another')
    enter()
    this.#inside = true
    try {
      const value = work()
      if (value instanceof Promise) throw new TypeError('Work in a namespace must not be async')
      return value
    } finally {
      this.#leave()
    }
  }

  #leave(): void {
    try {
      setNetworkNamespace(this.#home.fd)
      this.#inside = false
    } catch (cause) {
      writeSync(2, `Cannot return from a network namespace, ending the process: ${String(cause)}\n`)
      process.abort()
    }
  }

  close(): void {
    this.#home.close()
  }
}

/**
 * Prepares the process for entering namespaces. libuv starts its pool threads at the first asynchronous file call, and a new
 * thread lives in the namespace of the thread that started it; so they are started here, at home.
 */
export async function openWindow(): Promise<NamespaceWindow> {
  await stat(ownNamespace)
  return new NamespaceWindow(openNamespace(ownNamespace))
}
