/** How does the opener start a program of ours that is to have no privilege? */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync } from 'node:fs'
import { causeText } from '../../lib/errors.ts'
import { openSocketPair } from '../netns/libc.ts'
import type { Account } from './accounts.ts'
import { whyPrivileged } from './privileges.ts'

/** What is started, and as whom. */
export interface UnprivilegedProgram {
  /** Path of the script. */
  readonly script: string
  /** Options of Node itself, such as limits of memory. */
  readonly nodeOptions: readonly string[]
  /** Whom it runs as; absent: as the opener does. */
  readonly account: Account | undefined
}

/** A program that was started. */
export interface StartedProgram {
  readonly child: ChildProcess
  /** Our end of a channel for descriptors; the program has the other one as descriptor 4. */
  readonly channel: number
}

/**
 * Starts a program with an IPC channel and a channel for descriptors, and nothing else of ours.
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
  const [ours, theirs] = openSocketPair()
  const ids = account === undefined ? [] : [String(account.userId), String(account.groupId)]
  try {
    const child = spawn(process.execPath, [...nodeOptions, script, ...ids], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', theirs],
      env: {},
      cwd: '/',
    })
    return { child, channel: ours }
  } catch (cause) {
    closeSync(ours)
    throw cause
  } finally {
    closeSync(theirs)
  }
}

/** Why a program that says it is ready is not to be trusted. @returns `undefined` when it is without privileges */
export function whyNotTrusted(pid: number, account: Account | undefined): string | undefined {
  try {
    return whyPrivileged(pid, account)
  } catch (cause) {
    return causeText(cause)
  }
}
