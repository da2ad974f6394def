/** How does a UNIX socket come to be that is never there with wider permissions than it should have? */
import { once } from 'node:events'
import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { connect, type Server } from 'node:net'

/** Whether a process listens on a UNIX socket. @throws NodeJS.ErrnoException when that cannot be found out */
export async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return false
    throw cause
  } finally {
    socket.destroy()
  }
}

/**
 * Makes way for a new UNIX socket: removes one that a dead process left behind.
 * @throws Error when a process answers on it, or when the path is no socket
 */
export async function clearStaleSocket(path: string): Promise<void> {
  const status = lstatSync(path, { throwIfNoEntry: false })
  if (status === undefined) return
  if (!status.isSocket()) throw new Error(`Cannot listen on "${path}": it exists and is no socket`)
  if (await isAnswered(path)) {
    throw new Error(`Cannot listen on "${path}": another process answers there`)
  }
  unlinkSync(path)
}

/** Runs what calls bind(2), which applies the umask, so that there is no moment in which others could connect. */
export function bindPrivately<Value>(bind: () => Value, mode = 0o600): Value {
  const umask = process.umask(0o777 & ~mode)
  try {
    return bind()
  } finally {
    process.umask(umask)
  }
}

/** Listens in place of a dead process. @throws as {@link clearStaleSocket}, or NodeJS.ErrnoException */
export async function listenPrivately(server: Server, path: string, mode = 0o600): Promise<void> {
  await clearStaleSocket(path)
  // Node binds before listen() returns.
  bindPrivately(() => server.listen(path), mode)
  await once(server, 'listening')
  chmodSync(path, mode)
}
