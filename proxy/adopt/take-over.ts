/** How does one namespace change from a haproxy to us without a refused connection? */
import { accessSync, closeSync, constants } from 'node:fs'
import type { Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { attachmentFolderOf, prepareAttachmentFolder } from '../haproxy-shim/attachment-folder.ts'
import { recordName, type AttachmentRecord } from '../haproxy-shim/attachment-record.ts'
import { endWaiting, leaveWaiting, whenInside } from '../haproxy-shim/attach-waiting.ts'
import { requestProxy } from '../haproxy-shim/control-client.ts'
import { writePidFile } from '../haproxy-shim/stand-in.ts'
import { listeningSocketOf } from '../netns/listening-socket.ts'
import { openNamespace } from '../netns/namespace-handle.ts'
import { startTimeOf } from '../../lib/host/process-facts.ts'
import { handSockets } from '../linux/socket-passing.ts'
import { processTagOf, listeningDescriptorsOf, type NeutronHaproxy } from './neutron-haproxy.ts'
import { Pidfd } from '../linux/pidfd.ts'

export interface TakeOverOptions {
  readonly controlSocket: string
  readonly clock: Clock
  /** For haproxy to finish what it is doing, before it is ended. */
  readonly drainLimit: Milliseconds
}

const lookAgain: Milliseconds = 20
/** From SIGTERM to the end. */
const endLimit: Milliseconds = 2_000

/**
 * Copies haproxy's listening sockets, has the running proxy serve them, puts a waiting process in haproxy's place for
 * Neutron, and only then lets haproxy end. The sockets are the very same, with what waits in their queues, so nothing is refused or lost.
 * @returns whether haproxy has ended
 * @throws Error when it could not be done; haproxy then serves as before
 */
export async function takeOver(
  haproxy: NeutronHaproxy,
  options: TakeOverOptions,
): Promise<boolean> {
  const { controlSocket } = options
  const folder = attachmentFolderOf(controlSocket)
  prepareAttachmentFolder(folder)
  const process = new Pidfd(haproxy.pid)
  try {
    if (startTimeOf(haproxy.pid) !== haproxy.startTime) throw new Error('it has ended meanwhile')
    const record = await waitInPlaceOf(folder, haproxy)
    try {
      // nsenter begins outside, and the proxy refuses a process that waits elsewhere.
      await whenInside(record, options.clock)
      await handOver(process, haproxy, record, controlSocket)
      writePidFile(haproxy.config.pidFile, record.pid)
    } catch (cause) {
      endWaiting(folder, record)
      throw cause
    }
    return await stop(process, haproxy, options)
  } finally {
    process.close()
  }
}

async function waitInPlaceOf(
  folder: string,
  { pid, namespace, config, configFile }: NeutronHaproxy,
): Promise<AttachmentRecord> {
  const handle = openNamespace(`/proc/${pid}/ns/net`)
  try {
    if (handle.key !== namespace) throw new Error('it has moved to another namespace')
    return await leaveWaiting({
      folder,
      config,
      configFile,
      key: handle.key,
      processTag: processTagOf(pid),
      namespace: { fd: handle.fd, nsenter: nsenterPath() },
    })
  } finally {
    handle.close()
  }
}

/** A privileged process never searches its `PATH`. */
const nsenterPaths = ['/usr/bin/nsenter', '/bin/nsenter', '/usr/local/bin/nsenter']

function nsenterPath(): string {
  const path = nsenterPaths.find(isExecutable)
  if (path === undefined) throw new Error(`Cannot find ${nsenterPaths.join(', ')}`)
  return path
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function handOver(
  process: Pidfd,
  haproxy: NeutronHaproxy,
  record: AttachmentRecord,
  controlSocket: string,
): Promise<void> {
  const copies = copyListeners(process, haproxy)
  try {
    if (copies.length === 0) throw new Error('it has no listening socket in its namespace')
    const done = handSockets(controlSocket, copies)
    try {
      const name = recordName(record.identity)
      const answer = await requestProxy(controlSocket, { kind: 'adopt', name })
      if (!answer.ok) throw new Error(answer.why)
    } finally {
      done()
    }
  } finally {
    for (const fd of copies) closeSync(fd)
  }
}

function copyListeners(process: Pidfd, { pid, namespace }: NeutronHaproxy): number[] {
  const copies: number[] = []
  try {
    for (const fd of listeningDescriptorsOf(pid)) {
      const copy = process.copyDescriptor(fd)
      copies.push(copy)
      if (listeningSocketOf(copy)?.namespace === namespace) continue
      copies.pop()
      closeSync(copy)
    }
    return copies
  } catch (cause) {
    for (const fd of copies) closeSync(fd)
    throw new Error(`Cannot copy its sockets`, { cause })
  }
}

/** SIGUSR1 lets haproxy finish what it is doing; it accepts nothing more from then on. */
async function stop(
  process: Pidfd,
  haproxy: NeutronHaproxy,
  { clock, drainLimit }: TakeOverOptions,
): Promise<boolean> {
  const steps = [
    ['SIGUSR1', drainLimit],
    ['SIGTERM', endLimit],
    ['SIGKILL', endLimit],
  ] as const
  for (const [signal, limit] of steps) {
    process.signal(signal)
    for (let waited = 0; waited <= limit; waited += lookAgain) {
      if (startTimeOf(haproxy.pid) !== haproxy.startTime) return true
      await clock.sleep(lookAgain)
    }
  }
  return false
}
