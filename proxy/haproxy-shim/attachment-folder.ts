/** Where do records of namespaces outlive a restart of the proxy, and whose word do we take for them? */
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from 'node:fs'
import { dirname, join } from 'node:path'
import {
  fifoEnding,
  isRecordName,
  longestRecord,
  parseRecord,
  recordEnding,
  recordName,
  recordText,
  type AttachmentRecord,
} from './attachment-record.ts'

/** The folder beside the control socket. */
export function attachmentFolderOf(controlSocket: string): string {
  return join(dirname(controlSocket), 'attachments')
}

/** A file that is not what it should be. It is left where it is: it is not ours to delete. */
export class ForeignFileError extends Error {
  override readonly name = 'ForeignFileError'
}

/**
 * Makes the folder if need be.
 * @throws {ForeignFileError} when others than root and ourselves could have put files into it
 */
export function prepareAttachmentFolder(folder: string): void {
  mkdirSync(dirname(folder), { recursive: true, mode: 0o755 })
  try {
    mkdirSync(folder, { mode: 0o700 })
    chmodSync(folder, 0o700)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
  }
  const status = lstatSync(folder)
  if (!status.isDirectory() || !isTrusted(status)) {
    throw new ForeignFileError(`"${folder}" must be a folder of root that others cannot write to`)
  }
}

/** Root's, or the proxy's own, and no other user can have changed it. */
function isTrusted({ uid, mode }: Stats): boolean {
  return (uid === 0 || uid === process.geteuid?.()) && (mode & 0o022) === 0
}

/** Names of all records there are, and of all FIFOs. */
export function listAttachmentFolder(folder: string): {
  names: string[]
  fifos: string[]
  foreign: string[]
} {
  const names: string[] = []
  const fifos: string[] = []
  const foreign: string[] = []
  for (const file of readdirSync(folder).sort()) {
    const name = file.endsWith(recordEnding) ? file.slice(0, -recordEnding.length) : ''
    if (isRecordName(name)) names.push(name)
    else if (file.endsWith(fifoEnding)) fifos.push(file)
    // One that is being written, by whoever is at it.
    else if (!file.endsWith('.new')) foreign.push(file)
  }
  return { names, fifos, foreign }
}

/**
 * @throws {ForeignFileError} when it is not root's or our own file, or does not match its name;
 * NodeJS.ErrnoException when there is none; SyntaxError when it is no record
 */
export function readRecord(folder: string, name: string): AttachmentRecord {
  if (!isRecordName(name)) throw new ForeignFileError('it has the name of no record')
  const fd = openSync(join(folder, name + recordEnding), constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const status = fstatSync(fd)
    if (!status.isFile() || !isTrusted(status) || status.size > longestRecord) {
      throw new ForeignFileError('it is no file of root that others cannot write to')
    }
    const bytes = Buffer.alloc(longestRecord)
    const record = parseRecord(bytes.toString('utf8', 0, readSync(fd, bytes)))
    if (recordName(record.identity) !== name) {
      throw new ForeignFileError('its name and its content stand for different things')
    }
    return record
  } finally {
    closeSync(fd)
  }
}

/** Writes a record so that no reader ever sees half of it. */
export function writeRecord(folder: string, record: AttachmentRecord): void {
  const path = join(folder, recordName(record.identity) + recordEnding)
  const draft = `${path}.${process.pid}.new`
  rmSync(draft, { force: true })
  // Readable for a proxy that is not root; the folder keeps all other users out.
  writeFileSync(draft, recordText(record), { flag: 'wx', mode: 0o644 })
  renameSync(draft, path)
}

/** Removes a record and its FIFO, unless another has taken its place meanwhile. */
export function removeRecord(folder: string, record: AttachmentRecord): void {
  const name = recordName(record.identity)
  rmSync(join(folder, record.fifo), { force: true })
  if (isStill(folder, name, record)) rmSync(join(folder, name + recordEnding), { force: true })
}

function isStill(folder: string, name: string, record: AttachmentRecord): boolean {
  try {
    const now = readRecord(folder, name)
    return now.pid === record.pid && now.startTime === record.startTime
  } catch {
    return false
  }
}

/**
 * Opens a FIFO for reading without waiting for its other end.
 * @throws {ForeignFileError} when it is no FIFO of root or of our own
 */
export function openFifo(folder: string, fifo: string): number {
  const path = join(folder, fifo)
  const status = lstatSync(path)
  if (!status.isFIFO() || !isTrusted(status)) throw new ForeignFileError('it is no FIFO of root')
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW
  const fd = openSync(path, flags)
  const { ino, dev } = fstatSync(fd)
  if (ino !== status.ino || dev !== status.dev) {
    closeSync(fd)
    throw new ForeignFileError('it changed while it was opened')
  }
  return fd
}

/** Whether a process holds the other end of a FIFO. */
export function isHeld(fifoFd: number): boolean {
  try {
    return readSync(fifoFd, Buffer.alloc(1)) > 0
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EAGAIN') return true
    throw cause
  }
}

/** Whether the process of a record still waits. */
export function isWaiting(folder: string, record: AttachmentRecord): boolean {
  try {
    const fd = openFifo(folder, record.fifo)
    try {
      return isHeld(fd)
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw cause
  }
}

/** Whether there is such a folder at all: overlapd-haproxy makes it at its first call. */
export function hasAttachmentFolder(folder: string): boolean {
  return statSync(folder, { throwIfNoEntry: false }) !== undefined
}
