/** How is a descriptor closed that came from a process that may be hostile? Closing can be made to wait, for hours. */
import { closeSync } from 'node:fs'
import { receiveDescriptors } from '../../lib/linux/descriptor-messages.ts'
import { callLibc, linux, SystemCallError, stopReceiving } from '../../lib/linux/libc.ts'

const noLinger = Buffer.alloc(8)
/** `sockaddr` of the family AF_UNSPEC: connecting to it ends a connection, and what was unsent is gone. */
const nowhere = Buffer.alloc(16)

/**
 * Closes a socket without waiting for what it has not sent. What is no socket stays open: a file of a file system in user space, or a
 * terminal, lets its owner decide how long closing takes.
 * @returns false for what stays open
 */
export function closeReceived(fd: number): boolean {
  if (socketFlag(fd, linux.SO_TYPE) === undefined) return false
  attempt(() =>
    callLibc('setsockopt', fd, linux.SOL_SOCKET, linux.SO_LINGER, noLinger, noLinger.length),
  )
  // A listening one has nothing unsent, and others may share it.
  if (socketFlag(fd, linux.SO_ACCEPTCONN) === 0) {
    attempt(() => callLibc('connect', fd, nowhere, nowhere.length))
  }
  closeSync(fd)
  return true
}

/**
 * Ends a conversation in which the other side may have sent descriptors that were not taken: the kernel would close them in our name.
 * @param connection a connected UNIX socket, non-blocking
 */
export function closeConversation(connection: number): void {
  attempt(() => stopReceiving(connection))
  while (attempt(() => dropDescriptors(connection)) === true);
  closeSync(connection)
}

/** Takes one message and closes what came with it. @returns false at the end. @throws {SystemCallError} EAGAIN */
export function dropDescriptors(connection: number): boolean {
  const { count, fds } = receiveDescriptors(connection)
  for (const fd of fds) closeReceived(fd)
  return count > 0 || fds.length > 0
}

function socketFlag(fd: number, option: number): number | undefined {
  const value = Buffer.alloc(4)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(4)
  return attempt(() => {
    callLibc('getsockopt', fd, linux.SOL_SOCKET, option, value, length)
    return value.readInt32LE(0)
  })
}

function attempt<Value>(work: () => Value): Value | undefined {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof SystemCallError) return undefined
    throw cause
  }
}
