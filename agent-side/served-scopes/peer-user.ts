/** As which user does a process of this host run that connected? */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type * as Koffi from 'koffi'
import { descriptorOf } from '../../lib/sockets/descriptor.ts'
import { peerCredentials, type GetSocketOption } from '../../lib/linux/peer-credentials.ts'

type Call = (...values: Parameters<GetSocketOption>) => number

/** Asks the kernel, by the one system call that the agent needs and Node does not offer. */
export class PeerUsers {
  #call: Call | undefined

  /** @returns `undefined` when that cannot be known: trust nobody then */
  userOf(socket: Socket): number | undefined {
    const fd = descriptorOf(socket)
    if (fd === undefined) return undefined
    try {
      return peerCredentials(fd, (...values) => this.#getSocketOption(values)).userId
    } catch {
      return undefined
    }
  }

  #getSocketOption(values: Parameters<GetSocketOption>): void {
    this.#call ??= (createRequire(import.meta.url)('koffi') as typeof Koffi)
      .load(null)
      .func('int getsockopt(int, int, int, void *, void *)') as Call
    if (this.#call(...values) < 0) throw new Error('getsockopt failed')
  }
}
