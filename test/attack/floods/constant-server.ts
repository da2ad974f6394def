import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Teardowns } from '../../support/teardowns.ts'
import { prefer } from './prefer.ts'

/**
 * Starts a server that does nothing but answer, preferred as the service itself is.
 * @param netns under /run/netns. Absent: in that of this process
 * @returns its port
 */
export async function startConstantServer(
  t: Teardowns,
  address: string,
  netns?: string,
): Promise<number> {
  const program = fileURLToPath(new URL('compute-program.ts', import.meta.url))
  const words = [process.execPath, ...process.execArgv, program, address]
  const enter = netns === undefined ? [] : ['nsenter', `--net=/run/netns/${netns}`]
  const [command = '', ...rest] = [...enter, ...words]
  const child = spawn(command, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.teardown(() => child.kill('SIGKILL'))
  prefer(child.pid ?? 0)
  const [port] = (await once(child, 'message')) as [number]
  return port
}
