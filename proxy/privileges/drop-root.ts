/** How does a worker stop being root, once it has loaded everything? */
import { access } from 'node:fs'
import { callLibc } from '../../lib/linux/libc.ts'

/** RLIMIT_NPROC. @see asm-generic/resource.h */
const limitOfProcesses = 6

/**
 * Becomes another user in every thread, with no group but that user's own. The kernel takes all capabilities away with
 * it. What is loaded by then must be all that is ever loaded: the other user may not be able to read the program. From then on neither
 * process nor thread can be started.
 * @param ids user and group by number, as the supervisor gives them on the command line; none to stay who one is
 * @throws Error when the system refuses
 * @throws {SystemCallError} likewise
 */
export function dropRoot(ids: readonly string[]): void {
  const [userId, groupId] = ids.map(Number)
  if (userId !== undefined && groupId !== undefined) {
    process.setgroups?.([])
    process.setgid?.(groupId)
    process.setuid?.(userId)
  }
  startNoProcess()
}

/** A guest that breaks in can leave nothing behind that outlives the worker. */
function startNoProcess(): void {
  // Node starts its threads for files and names at the first use, and aborts when it cannot.
  access('/', () => undefined)
  callLibc('setrlimit', limitOfProcesses, Buffer.alloc(16))
}
