/** How does the service manager keep our listening sockets while we are restarted? @see sd_listen_fds(3), FDSTORE in sd_notify(3) */
import { closeSync, fstatSync } from 'node:fs'
import type { Cancel, Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { callLibc, linux, isErrno } from '../../lib/linux/libc.ts'
import { notifyService } from '../../lib/linux/sd-notify.ts'

/** Where descriptors of a service manager begin. */
const firstDescriptor = 3

/** What the service manager puts into the environment. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What the service manager kept. */
export interface StoredDescriptors {
  readonly listeners: readonly number[]
  /** Ends of the channels of workers that still run. Once these are closed, the workers end. */
  readonly lifelines: readonly number[]
}

/** Numbers below are wanted for what cannot use others; thousands of sockets would take them all. */
const firstUsualDescriptor = 1_024

function moveUp(fd: number): number {
  let moved: number
  try {
    moved = callLibc('fcntl', fd, linux.F_DUPFD_CLOEXEC, firstUsualDescriptor)
  } catch {
    // With a limit that small there is nothing to keep the low numbers free from.
    return fd
  }
  closeSync(fd)
  return moved
}

/**
 * Call it once, and early.
 * @returns the descriptors that the service manager gave this process, by `LISTEN_FDS`
 */
export function storedDescriptors(environment: Environment): StoredDescriptors {
  const listeners: number[] = []
  const lifelines: number[] = []
  const count = Number(environment['LISTEN_FDS'])
  if (environment['LISTEN_PID'] === String(process.pid) && Number.isSafeInteger(count)) {
    const names = environment['LISTEN_FDNAMES']?.split(':') ?? []
    for (let index = 0; index < count; index += 1) {
      const isLifeline = names[index]?.startsWith(`${prefixes.lifeline}-`) === true
      const list = isLifeline ? lifelines : listeners
      list.push(moveUp(firstDescriptor + index))
    }
  }
  return { listeners, lifelines }
}

const prefixes = { listener: 'listener', lifeline: 'worker' } as const

/** What a descriptor is kept for. */
export type StoredKind = keyof typeof prefixes

/** By its inode, which no other socket has while it lives, so that a later process calls it the same. */
function storedName(fd: number, kind: StoredKind): string {
  return `${prefixes[kind]}-${fstatSync(fd).ino}`
}

export interface SystemdStoreOptions {
  /** `NOTIFY_SOCKET` */
  readonly notifySocket: string
  readonly clock: Clock
  readonly logger: Logger
}

/** While the service manager is behind. */
const sendAgain: Milliseconds = 5

/** Keeps the service manager's store in step with the sockets that are open. */
export class SystemdStore {
  readonly #options: SystemdStoreOptions
  /** What is to be sent, by name; a later message replaces an earlier one. */
  readonly #unsaid = new Map<string, number | undefined>()
  readonly #stored = new Map<number, string>()
  #cancelSend: Cancel | undefined

  constructor(options: SystemdStoreOptions) {
    this.#options = options
  }

  /** Keeps a socket. One that is kept already, from before, is kept once. */
  add(fd: number, kind: StoredKind = 'listener'): void {
    const name = storedName(fd, kind)
    this.#stored.set(fd, name)
    this.#unsaid.set(name, fd)
    this.#send()
  }

  /** Lets go of a socket that is about to be closed, kept by this process or by one before it. */
  remove(fd: number, kind: StoredKind = 'listener'): void {
    const name = this.#stored.get(fd) ?? storedName(fd, kind)
    this.#stored.delete(fd)
    this.#unsaid.set(name, undefined)
    this.#send()
  }

  /** Drops what is not sent yet. */
  close(): void {
    this.#cancelSend?.()
    this.#unsaid.clear()
  }

  #send(): void {
    if (this.#cancelSend !== undefined) return
    const { notifySocket, clock, logger } = this.#options
    for (const [name, fd] of this.#unsaid) {
      try {
        if (fd === undefined) notifyService(notifySocket, `FDSTOREREMOVE=1\nFDNAME=${name}`)
        // Without FDPOLL=0 the manager would watch for errors and drop what has one.
        else notifyService(notifySocket, `FDSTORE=1\nFDPOLL=0\nFDNAME=${name}`, [fd])
        this.#unsaid.delete(name)
      } catch (cause) {
        if (isErrno(cause, 'EAGAIN')) {
          this.#cancelSend = clock.schedule(sendAgain, () => {
            this.#cancelSend = undefined
            this.#send()
          })
          return
        }
        this.#unsaid.delete(name)
        logger.warn({ cause: causeText(cause) }, 'Cannot store a socket with the service manager')
      }
    }
  }
}
