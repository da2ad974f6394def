/** Which namespaces has Neutron given us by starting overlapd-haproxy, and does it still want them served? */
import { closeSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Count } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import { namespaceKeyOf } from '../netns/namespace-handle.ts'
import { startTimeOf } from '../../lib/host/process-facts.ts'
import {
  hasAttachmentFolder,
  isHeld,
  isWaiting,
  listAttachmentFolder,
  openFifo,
  prepareAttachmentFolder,
  readRecord,
  removeRecord,
} from './attachment-folder.ts'
import type { AttachmentRecord } from './attachment-record.ts'

export interface HaproxyAttachmentsOptions {
  readonly folder: string
  readonly logger: Logger
  /** The records are others than before. */
  readonly onChange: () => void
  /** At most so many namespaces are taken; more would be a mistake or an attack. @default 20000 */
  readonly most?: Count
}

interface WatchedAttachment {
  readonly record: AttachmentRecord
  readonly fifo: Socket
}

/**
 * Holds a record for each namespace that Neutron wants served. Each has a process that waits and holds a FIFO; the end of the
 * process closes the FIFO, which is how we learn that the namespace is given up. Records outlive a restart of the proxy, since
 * neither the file nor the process ends with it.
 */
export class HaproxyAttachments {
  readonly #options: HaproxyAttachmentsOptions
  readonly #held = new Map<string, WatchedAttachment>()

  constructor(options: HaproxyAttachmentsOptions) {
    this.#options = options
  }

  /** Finds again what was given before; removes what has ended meanwhile, and logs what is not ours. */
  start(): void {
    const { folder, logger } = this.#options
    if (!hasAttachmentFolder(folder)) prepareAttachmentFolder(folder)
    const { names, fifos, foreign } = listAttachmentFolder(folder)
    const known = new Set<string>()
    for (const name of names) {
      try {
        const record = readRecord(folder, name)
        known.add(record.fifo)
        if (!isWaiting(folder, record)) removeRecord(folder, record)
        else this.#hold(name, record)
      } catch (cause) {
        logger.warn({ name, cause: causeText(cause) }, 'Cannot use the record of a namespace')
      }
    }
    for (const file of foreign) logger.warn({ folder, file }, 'File of another owner is left alone')
    for (const fifo of fifos) if (!known.has(fifo)) this.#removeLeftover(fifo)
  }

  /** A FIFO without a record: its process ended before the record was written, or is about to write it. */
  #removeLeftover(fifo: string): void {
    const { folder, logger } = this.#options
    try {
      const fd = openFifo(folder, fifo)
      const isInUse = isHeld(fd)
      closeSync(fd)
      if (!isInUse) rmSync(join(folder, fifo))
    } catch (cause) {
      logger.warn({ fifo, cause: causeText(cause) }, 'File of another owner is left alone')
    }
  }

  records(): AttachmentRecord[] {
    return [...this.#held.values()].map(({ record }) => record)
  }

  /**
   * Takes the namespace of a record that overlapd-haproxy has just written.
   * @throws Error when the record cannot be used, or its process does not live in the recorded namespace
   */
  attach(name: string): AttachmentRecord {
    const record = readRecord(this.#options.folder, name)
    this.#hold(name, record)
    this.#options.onChange()
    return record
  }

  /** Gives a namespace up again that could not be served. Its process is ended by who started it. */
  release(name: string): void {
    const held = this.#held.get(name)
    if (held !== undefined) this.#drop(name, held)
  }

  #hold(name: string, record: AttachmentRecord): void {
    const { folder, logger, most = 20_000 } = this.#options
    const before = this.#held.get(name)
    if (before === undefined && this.#held.size >= most) {
      throw new Error(`more than ${most} namespaces are attached`)
    }
    checkProcess(record)
    const fifo = this.#watch(openFifo(folder, record.fifo), () => {
      const held = this.#held.get(name)
      if (held?.record !== record) return
      logger.info(fieldsOf(record), 'Namespace is given up: overlapd-haproxy ended')
      this.#drop(name, held)
    })
    this.#held.set(name, { record, fifo })
    before?.fifo.destroy()
    logger.info(fieldsOf(record), 'Namespace is attached by overlapd-haproxy')
  }

  /** @throws Error when no process holds the other end any more */
  #watch(fd: number, onEnd: () => void): Socket {
    // Only a reader that has seen the holder is notified when it goes, so this look is needed.
    if (!isHeld(fd)) {
      closeSync(fd)
      throw new Error('the process that should wait has ended')
    }
    const fifo = new Socket({ fd, readable: true, writable: false })
    fifo.on('end', onEnd)
    fifo.on('error', onEnd)
    // No byte ever comes over it; the end alone counts.
    fifo.resume()
    fifo.unref()
    return fifo
  }

  #drop(name: string, { record, fifo }: WatchedAttachment): void {
    const { folder, logger, onChange } = this.#options
    this.#held.delete(name)
    fifo.destroy()
    try {
      removeRecord(folder, record)
    } catch (cause) {
      logger.warn({ name, cause: causeText(cause) }, 'Cannot remove the record of a namespace')
    }
    onChange()
  }

  /** The records stay, for who comes after us. */
  close(): void {
    for (const { fifo } of this.#held.values()) fifo.destroy()
    this.#held.clear()
  }
}

function fieldsOf({ identity, pid, configFile }: AttachmentRecord): Record<string, unknown> {
  return { scope: scopeText(identity.scope), pid, configFile }
}

/** @throws Error when the process is another one, or lives in another namespace than recorded */
function checkProcess(record: AttachmentRecord): void {
  if (startTimeOf(record.pid) !== record.startTime) {
    throw new Error(`process ${record.pid} is not the one that should wait`)
  }
  const namespace = namespaceOf(record.pid)
  if (namespace !== undefined && namespace !== record.namespace) {
    throw new Error(`process ${record.pid} lives in another namespace than recorded`)
  }
}

/** @returns `undefined` for a proxy without CAP_SYS_PTRACE, which has root's word for it alone */
function namespaceOf(pid: number): string | undefined {
  try {
    return namespaceKeyOf(`/proc/${pid}/ns/net`)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') return undefined
    throw cause
  }
}
