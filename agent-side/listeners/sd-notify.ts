/** How does the service manager learn that the agent serves? @see sd_notify(3) */
import { spawn } from 'node:child_process'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'

/**
 * Reports `READY=1` where the service manager waits for it (`NOTIFY_SOCKET`). Node has no datagrams on UNIX sockets, and the agent
 * makes no system calls of its own, so the report is sent by systemd's program for that. A failure is logged; the agent serves.
 */
export function notifyReady(
  environment: Readonly<Record<string, string | undefined>>,
  logger: Logger,
): void {
  const { NOTIFY_SOCKET: socket, PATH: path } = environment
  if (socket === undefined || socket === '') return
  const report = (why: string): void =>
    logger.error({ socket, why }, 'Cannot report to the service manager that the agent is ready')
  const child = spawn('systemd-notify', ['--ready'], {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { NOTIFY_SOCKET: socket, ...(path !== undefined && { PATH: path }) },
  })
  child.on('error', (cause) => report(causeText(cause)))
  child.on('exit', (code, signal) => {
    if (code !== 0) report(`systemd-notify ended with ${String(code ?? signal)}`)
  })
}
