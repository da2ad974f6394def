/** How is a remedy carried out, as it was printed? */
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { runProgram } from '../support/netns.ts'
import type { OperatorHost } from './operator-host.ts'

const mains: Readonly<Record<string, string>> = {
  overlapd: '../../dist/deploy/overlapd/overlapd.js',
  'overlapd-proxy': '../../dist/proxy/main.js',
  'overlapd-agent': '../../dist/agent-side/main.js',
}

/** The daemons of a test have no unit: what is done to that of a daemon is done to the daemon. */
const ofUnit = /^systemctl (?:start|restart|reload) overlapd-(agent|proxy)$/
/** Needs a systemd that has the daemons. `npm run test:package` has one. */
const ofSystemd = /^(?:journalctl|systemctl edit) /

/**
 * Runs each command that a remedy has in quotation marks.
 * @returns how many were run
 */
export async function carryOut(t: Test, host: OperatorHost, remedy: string): Promise<number> {
  let count = 0
  for (const [, command = ''] of remedy.matchAll(/"([^"]+)"/g)) {
    const daemon = ofUnit.exec(command)?.[1]
    if (ofSystemd.test(command)) {
      t.comment(`left to a host with units: ${command}`)
      continue
    }
    count += 1
    if (daemon === 'agent') await host.startAgent()
    else if (daemon === 'proxy') await host.startProxy()
    else await runCommand(t, host, command)
  }
  return count
}

async function runCommand(t: Test, host: OperatorHost, command: string): Promise<void> {
  const [program = '', ...argv] = command.split(' ')
  const main = mains[program]
  if (main === undefined) {
    const { code, stderr } = await runProgram(['sh', '-c', command])
    t.equal(code, 0, `${command}: ${stderr}`)
    return
  }
  const sockets =
    program === 'overlapd'
      ? ['--proxy', host.proxy.adminSocket, '--agent', host.sockets.admin]
      : ['--admin', host.adminOf(program === 'overlapd-agent' ? 'agent' : 'proxy')]
  const file = fileURLToPath(new URL(main, import.meta.url))
  // By way of env, or the test runner adds its own loaders to the program.
  const words = ['env', '-i', `PATH=${process.env['PATH']}`, process.execPath, file]
  const { code, stdout, stderr } = await runProgram([...words, ...argv, ...sockets])
  t.ok(code === 0 || code === 1, `${command} ends with ${code}: ${stderr}`)
  t.not(stdout, '', `${command} says something`)
}
