/** What stands in a namespace in haproxy's place while the proxy serves it, and costs next to nothing? */
import { spawn } from 'node:child_process'
import { closeSync, constants, openSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { callLibc } from '../../lib/linux/libc.ts'
import type { Account } from '../privileges/accounts.ts'

export interface WaitingProcessOptions {
  readonly folder: string
  /** File name of the FIFO to make and hold; it must not exist. */
  readonly fifo: string
  readonly configFile: string
  /** Whom it runs as; absent: as its starter does. */
  readonly account?: Account | undefined
  /** What Neutron's agents put into the environment of what they start, for scripts that look for it. */
  readonly processTag?: string | undefined
  /** The namespace to start it in, as an open descriptor; absent: the one its starter is in. */
  readonly namespace?: { readonly fd: number; readonly nsenter: string }
}

/**
 * The shell reads from a FIFO whose other end it holds itself, so it waits for ever. When it ends, however it ends, the
 * kernel closes the FIFO, and the proxy, which reads it too, learns it by that. haproxy takes SIGHUP as "print your state" and lives on;
 * SIGTERM, SIGINT and SIGUSR1 end it.
 */
const waitScript = 'trap "" HUP PIPE USR2; read -r never <&3'

/**
 * Starts the waiting process. Its command line ends as haproxy's would, with `-f` and the file, by which Neutron's process
 * manager knows it again.
 * @returns its number
 * @see neutron/agent/linux/external_process.py, ProcessManager.active
 */
export async function startWaitingProcess(options: WaitingProcessOptions): Promise<number> {
  const { folder, fifo, configFile, account, processTag, namespace } = options
  const path = join(folder, fifo)
  callLibc('mkfifo', path, 0o644)
  let fd: number | undefined
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW)
    const shell = ['-c', waitScript, 'overlapd-haproxy', '-f', configFile]
    const child =
      namespace === undefined
        ? spawn('/bin/sh', shell, {
            ...detached(processTag),
            stdio: ['ignore', 'ignore', 'ignore', fd],
            ...(account && { uid: account.userId, gid: account.groupId }),
          })
        : spawn(namespace.nsenter, [...entering(account), '/bin/sh', ...shell], {
            ...detached(processTag),
            stdio: ['ignore', 'ignore', 'ignore', fd, namespace.fd],
          })
    await once(child, 'spawn')
    child.unref()
    if (child.pid === undefined) throw new Error('the waiting process has no number')
    return child.pid
  } catch (cause) {
    rmSync(path, { force: true })
    throw cause
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function detached(processTag: string | undefined): {
  cwd: string
  detached: true
  env: Record<string, string>
} {
  const tag = processTag === undefined ? {} : { PROCESS_TAG: processTag }
  return { cwd: '/', detached: true, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...tag } }
}

/** Entering needs the privileges that are given up after it, so nsenter does both. It becomes the shell: the number stays. */
function entering(account: Account | undefined): string[] {
  const become =
    account === undefined ? [] : [`--setuid=${account.userId}`, `--setgid=${account.groupId}`]
  return ['--net=/proc/self/fd/4', ...become, '--']
}
