/** How does the supervisor start a program of ours that is to have no privilege, and talk with it? */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { causeText } from '../../lib/runtime/errors.ts'
import { journalEnvironment } from '../../lib/runtime/journal.ts'
import { openPipe, openSocketPair, stopReceiving } from '../../lib/linux/libc.ts'
import type { Account } from './accounts.ts'
import { whyPrivileged } from './privileges.ts'

/** What is started, and as whom. */
export interface UnprivilegedProgram {
  /** Path of the script. */
  readonly script: string
  /** Options of Node itself, such as limits of memory. */
  readonly nodeOptions: readonly string[]
  /** Whom it runs as; absent: as the supervisor does. */
  readonly account: Account | undefined
}

/** A program that was started. Its ends of all three have the numbers of {@link childDescriptors}. */
export interface StartedProgram {
  readonly child: ChildProcess
  /** What it sends. */
  readonly input: Socket
  /** What it receives. */
  readonly output: Socket
  /** Our end of a channel for descriptors, on which nothing can be sent to us. */
  readonly channel: number
}

/**
 * Starts a program with two pipes and a channel for descriptors, and nothing else of ours.
 *
 * Nothing that the program holds can carry a descriptor to us. The kernel would close one that is not taken in the name of whoever
 * reads or closes, and a socket can be made to block its closing for hours (`SO_LINGER`).
 *
 * It begins as who we are, because another user may not be able to read the program: a clone in a home folder. It becomes the account
 * by itself once everything is loaded. That way serves an installation in /usr too, so it is the only one.
 * @throws NodeJS.ErrnoException when the process cannot be started
 */
export function startUnprivileged({
  script,
  nodeOptions,
  account,
}: UnprivilegedProgram): StartedProgram {
  const opened: number[] = []
  const open = (make: () => readonly [number, number]): readonly [number, number] => {
    const ends = make()
    opened.push(...ends)
    return ends
  }
  const ids = account === undefined ? [] : [String(account.userId), String(account.groupId)]
  try {
    const [channel, theirChannel] = open(openSocketPair)
    stopReceiving(channel)
    const [theirInput, output] = open(openPipe)
    const [input, theirOutput] = open(openPipe)
    const child = spawn(process.execPath, [...nodeOptions, script, ...ids], {
      stdio: ['ignore', 'inherit', 'inherit', theirInput, theirChannel, theirOutput],
      env: journalEnvironment(),
      cwd: '/',
    })
    for (const fd of [theirInput, theirChannel, theirOutput]) closeSync(fd)
    return {
      child,
      input: new Socket({ fd: input, readable: true, writable: false }),
      output: new Socket({ fd: output, readable: false, writable: true }),
      channel,
    }
  } catch (cause) {
    for (const fd of opened) closeSync(fd)
    throw cause
  }
}

/** Why a program that reports ready is not to be trusted. @returns `undefined` when it is without privileges */
export function whyNotTrusted(pid: number, account: Account | undefined): string | undefined {
  try {
    return whyPrivileged(pid, account)
  } catch (cause) {
    return causeText(cause)
  }
}
