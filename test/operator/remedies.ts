/** How is a remedy carried out, as it was printed? */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { runProgram } from '../support/netns.ts'

const mains: Readonly<Record<string, string>> = {
  overlapd: '../../dist/deploy/overlapd/overlapd.js',
  'overlapd-proxy': '../../dist/proxy/main.js',
  'overlapd-agent': '../../dist/agent-side/main.js',
}

/** The daemons of a test have no unit: what is done to that of a daemon is done to the daemon. */
const ofUnit = /^systemctl (?:start|restart|reload) overlapd-(agent|proxy)$/
/** Needs a systemd that has the daemons. `npm run test:package` has one. */
const ofSystemd = /^(?:journalctl|systemctl edit) /

/** Where remedies are carried out: one or both daemons, without units. */
export interface RemediedHost {
  adminOf(daemon: 'agent' | 'proxy'): string
  /** Absent where the remedies start none. */
  startAgent?(): Promise<void>
  startProxy?(): Promise<void>
  /** A host without the other daemon: the commands of the operator end with 2 there. */
  readonly hasOne?: true
}

/**
 * Runs each command that a remedy has in quotation marks.
 * @returns how many were run
 */
export async function carryOut(t: Test, host: RemediedHost, remedy: string): Promise<number> {
  let count = 0
  for (const [, command = ''] of remedy.matchAll(/"([^"]+)"/g)) {
    const daemon = ofUnit.exec(command)?.[1]
    if (ofSystemd.test(command)) {
      t.comment(`left to a host with units: ${command}`)
      continue
    }
    count += 1
    if (daemon === 'agent') await host.startAgent?.()
    else if (daemon === 'proxy') await host.startProxy?.()
    else await runCommand(t, host, command)
  }
  return count
}

async function runCommand(t: Test, host: RemediedHost, command: string): Promise<void> {
  const [program = '', ...argv] = command.split(' ')
  const main = mains[program]
  if (main === undefined) {
    const { code, stderr } = await runProgram(['sh', '-c', command])
    t.equal(code, 0, `${command}: ${stderr}`)
    return
  }
  const sockets =
    program === 'overlapd'
      ? ['--proxy', host.adminOf('proxy'), '--agent', host.adminOf('agent')]
      : ['--admin', host.adminOf(program === 'overlapd-agent' ? 'agent' : 'proxy')]
  const file = fileURLToPath(new URL(main, import.meta.url))
  // By way of env, or the test runner adds its own loaders to the program.
  const words = ['env', '-i', `PATH=${process.env['PATH']}`, process.execPath, file]
  const { code, stdout, stderr } = await runProgram([...words, ...argv, ...sockets])
  t.ok(code <= (host.hasOne ? 2 : 1), `${command} ends with ${code}: ${stderr}`)
  t.not(stdout, '', `${command} says something`)
}

/** The programs of overlapd by their names, as a host has them. @returns the folder for `PATH` */
export function installPrograms(folder: string): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  for (const [name, main] of Object.entries(mains)) {
    const file = fileURLToPath(new URL(main, import.meta.url))
    const script = `#!/bin/sh\nexec ${process.execPath} ${file} "$@"\n`
    writeFileSync(join(bin, name), script, { mode: 0o755 })
  }
  return bin
}

/**
 * Runs a command as it was printed, in a mount namespace of its own.
 * @param around shell commands that make the folders of the host others there
 */
export function runAsPrinted(bin: string, around: string, command: string) {
  const path = `PATH=${bin}:${process.env['PATH']}`
  return runProgram(['env', '-i', path, 'unshare', '-m', 'sh', '-ec', `${around}\n${command}`])
}
