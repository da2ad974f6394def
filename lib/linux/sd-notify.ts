/** How does the service manager learn how a daemon is? @see sd_notify(3) */
import { closeSync } from 'node:fs'
import { causeText } from '../runtime/errors.ts'
import type { Logger } from '../runtime/log.ts'
import { sendDescriptors } from './descriptor-messages.ts'
import { callLibc, connectSocket, linux, openSocket } from './libc.ts'

/** What `sun_path` holds at most. */
const longestPath = 108

/**
 * Sends one message such as `READY=1` to the socket that `NOTIFY_SOCKET` names.
 * @param path a path, or a name of the abstract space with `@` before it; without one nothing happens
 * @param fds what the manager is to keep, in a message with `FDSTORE=1`
 * @throws {SystemCallError} when it cannot be sent; with descriptors EAGAIN while the manager is behind
 */
export function notifyService(
  path: string | undefined,
  message: string,
  fds: readonly number[] = [],
): void {
  if (path === undefined || !/^[/@]./.test(path) || path.length >= longestPath) return
  const bytes = Buffer.from(message)
  const address = Buffer.from(`\0\0${path}`)
  address.writeUInt16LE(linux.AF_UNIX, 0)
  if (path.startsWith('@')) address[2] = 0
  const fd = openSocket(linux.AF_UNIX, linux.SOCK_DGRAM)
  try {
    if (fds.length > 0) {
      connectSocket(fd, address)
      sendDescriptors(fd, fds, bytes)
      return
    }
    const flags = linux.MSG_NOSIGNAL
    callLibc('sendto', fd, bytes, bytes.length, flags, address, address.length)
  } finally {
    closeSync(fd)
  }
}

/** Sends messages of a daemon about itself. A failure is logged: a daemon serves without its service manager. */
export function serviceNotifier(
  environment: Readonly<Record<string, string | undefined>>,
  logger: Logger,
): (message: string) => void {
  const socket = environment['NOTIFY_SOCKET']
  return (message) => {
    try {
      notifyService(socket, message)
    } catch (cause) {
      logger.error({ socket, cause: causeText(cause) }, 'Cannot notify the service manager')
    }
  }
}
