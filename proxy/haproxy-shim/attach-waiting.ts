/** How does a namespace get its record and its waiting process, whoever requests it? */
import type { Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { namespaceKeyOf, type NamespaceKey } from '../netns/namespace-handle.ts'
import { workerAccount } from '../privileges/accounts.ts'
import { startTimeOf } from '../../lib/host/process-facts.ts'
import { isWaiting, readRecord, removeRecord, writeRecord } from './attachment-folder.ts'
import { fifoEnding, recordName, type AttachmentRecord } from './attachment-record.ts'
import type { NeutronHaproxyConfig } from './neutron-config.ts'
import { startWaitingProcess, type WaitingProcessOptions } from './waiting-process.ts'

export interface LeaveWaitingOptions extends Pick<
  WaitingProcessOptions,
  'folder' | 'configFile' | 'processTag' | 'namespace'
> {
  readonly config: NeutronHaproxyConfig
  /** The namespace that the process is started in. */
  readonly key: NamespaceKey
}

const lookAgain: Milliseconds = 10
/** A program is started within that on the busiest machine. */
const enterLimit: Milliseconds = 5_000

/**
 * Starts a waiting process and writes its record.
 * @throws Error when one waits for the same router or network already, and when either cannot be done; then neither is left
 */
export async function leaveWaiting(options: LeaveWaitingOptions): Promise<AttachmentRecord> {
  const { folder, config, configFile, key } = options
  const { identity, listen, user, group } = config
  const name = recordName(identity)
  clearLeftRecord(folder, name)
  const fifo = `${name}.${process.pid}${fifoEnding}`
  const account = user === undefined ? undefined : workerAccount({ user, group })
  const pid = await startWaitingProcess({ ...options, fifo, account })
  try {
    const startTime = startTimeOf(pid)
    if (startTime === undefined) throw new Error('the waiting process ended at once')
    const record = { identity, listen, namespace: key, pid, startTime, fifo, configFile }
    writeRecord(folder, record)
    return record
  } catch (cause) {
    endProcess(pid)
    throw cause
  }
}

/** @throws Error when a process waits for the same router or network already */
function clearLeftRecord(folder: string, name: string): void {
  let before: AttachmentRecord
  try {
    before = readRecord(folder, name)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new Error(`Cannot use "${folder}/${name}.json"`, { cause })
  }
  if (isWaiting(folder, before)) {
    throw new Error(`Cannot serve ${name} twice: process ${before.pid} stands for it already`)
  }
  removeRecord(folder, before)
}

/**
 * Resolves once a process that was started in another namespace has entered its own.
 * @throws Error when it has not within {@link enterLimit}
 */
export async function whenInside(
  { pid, namespace }: Pick<AttachmentRecord, 'pid' | 'namespace'>,
  clock: Pick<Clock, 'sleep'>,
): Promise<void> {
  for (let waited = 0; namespaceKeyOf(`/proc/${pid}/ns/net`) !== namespace; waited += lookAgain) {
    if (waited >= enterLimit) throw new Error(`process ${pid} does not enter its namespace`)
    await clock.sleep(lookAgain)
  }
}

/** Undoes {@link leaveWaiting}. */
export function endWaiting(folder: string, record: AttachmentRecord): void {
  endProcess(record.pid)
  removeRecord(folder, record)
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}
