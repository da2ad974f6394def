/** What does a process leave that listens on a UNIX socket and is killed? */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** @returns when the process is gone and its socket is still there */
export async function leaveSocketFile(path: string): Promise<void> {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  await once(spawn(process.execPath, ['-e', script]), 'exit')
}
