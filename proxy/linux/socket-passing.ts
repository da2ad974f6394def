/** How do listening sockets of haproxy come to the running proxy? Passed by root, beside the control socket. */
import { closeSync, lstatSync, unlinkSync } from 'node:fs'
import type { Count } from '../../lib/runtime/clock.ts'
import { receiveDescriptors, sendDescriptors } from '../../lib/linux/descriptor-messages.ts'
import { callLibc, linux } from '../../lib/linux/libc.ts'
import { connectUnix, listenForDescriptors } from './unix-socket.ts'
import { credentialsOfDescriptor } from '../../lib/linux/peer-credentials.ts'

/** The socket for descriptors that belongs to a control socket. */
export function passedSocketsPath(controlSocket: string): string {
  return `${controlSocket}.sockets`
}

/** Operators adopt one namespace after the other. */
const backlog: Count = 16

/**
 * Where descriptors arrive. They are sent first and announced on the control socket after that, so whatever is announced is here
 * already and nothing is waited for.
 */
export class PassedSockets {
  readonly #path: string
  #fd: number | undefined

  constructor(controlSocket: string) {
    this.#path = passedSocketsPath(controlSocket)
  }

  start(): void {
    // The control socket is ours by now, so whatever stands here was left behind.
    if (lstatSync(this.#path, { throwIfNoEntry: false })?.isSocket() === true) {
      unlinkSync(this.#path)
    }
    this.#fd = listenForDescriptors(this.#path, backlog)
  }

  /** Takes what this process has sent; what others sent, without announcing it, is closed. They are the caller's to close. */
  take(fromPid: number): readonly number[] {
    const taken: number[] = []
    for (let count = 0; count < backlog; count += 1) {
      const connection = this.#accept()
      if (connection === undefined) break
      try {
        const peer = credentialsOfDescriptor(connection)
        const { fds } = receiveDescriptors(connection)
        if (peer.userId === 0 && peer.pid === fromPid) taken.push(...fds)
        else for (const fd of fds) closeSync(fd)
      } catch {
        // It sent nothing.
      } finally {
        closeSync(connection)
      }
    }
    return taken
  }

  #accept(): number | undefined {
    if (this.#fd === undefined) return undefined
    try {
      return callLibc('accept4', this.#fd, 0, 0, linux.SOCK_CLOEXEC | linux.SOCK_NONBLOCK)
    } catch {
      return undefined
    }
  }

  close(): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
    unlinkSync(this.#path)
  }
}

/**
 * Sends copies of descriptors to the running proxy.
 * @returns what must be called after the proxy got the announcement and answered
 * @throws {SystemCallError} when no proxy listens
 */
export function handSockets(controlSocket: string, fds: readonly number[]): () => void {
  const connection = connectUnix(passedSocketsPath(controlSocket), linux.SOCK_SEQPACKET)
  try {
    sendDescriptors(connection, fds)
  } catch (cause) {
    closeSync(connection)
    throw cause
  }
  return () => closeSync(connection)
}
