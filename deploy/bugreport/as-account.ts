/** With whose rights are the files read that a daemon names? With its own: root would read for it what it may not. */
import type { ProcessFacts } from '../../lib/host/process-facts.ts'

/**
 * Works with the rights of a daemon's account, where this process is root and the daemon is not.
 * @param daemon absent: nothing changes
 */
export async function asAccountOf<Value>(
  daemon: ProcessFacts | undefined,
  work: () => Promise<Value>,
): Promise<Value> {
  const { seteuid, setegid, setgroups, geteuid, getegid, getgroups } = process
  const [groupId] = daemon?.groupIds ?? []
  if (daemon === undefined || groupId === undefined || daemon.userId === 0) return await work()
  if (geteuid?.() !== 0) return await work()
  const own = { groupId: getegid?.() ?? 0, groupIds: getgroups?.() ?? [] }
  setgroups?.([...daemon.groupIds])
  setegid?.(groupId)
  seteuid?.(daemon.userId)
  try {
    return await work()
  } finally {
    seteuid?.(0)
    setegid?.(own.groupId)
    setgroups?.(own.groupIds)
  }
}
