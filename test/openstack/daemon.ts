/** How are daemons started and ended, by whichever process? Each leaves a file with its command and one with its pid. */
import { spawn, execFile } from 'node:child_process'
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { ownedBy } from './owner.ts'
import type { Place } from './place.ts'

/** What to run. */
export interface DaemonCommand {
  readonly name: string
  readonly program: string
  readonly arguments: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly runAs?: { readonly uid: number; readonly gid: number }
}

const stopPatience: Milliseconds = 15_000
const pause: Milliseconds = 50

/** Waits a moment; for looking at other programs, of which nobody tells when they are done. */
export async function moment(span: Milliseconds = pause): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, span)
  })
}

/** Runs a program to its end. @throws Error with what it printed */
export async function run(
  program: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const options = { env: { ...process.env, ...environment }, maxBuffer: 64 * 1024 * 1024 }
  const { stdout } = await promisify(execFile)(program, [...words], options)
  return stdout
}

/** The kernel's start time tells a pid that is used again from ours. @returns `undefined` when there is no such process */
function startTimeOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

function fileOf(place: Place, name: string, kind: 'json' | 'pid'): string {
  return join(place.folder, 'daemons', `${name}.${kind}`)
}

/** What the daemon printed. */
export function logOf(place: Place, name: string): string {
  return join(place.folder, 'log', `${name}.log`)
}

/** @returns `undefined` when it does not run */
export function pidOf(place: Place, name: string): number | undefined {
  const file = fileOf(place, name, 'pid')
  if (!existsSync(file)) return undefined
  const [pid = '', startTime] = readFileSync(file, 'utf8').split(' ')
  return startTimeOf(Number(pid)) === startTime ? Number(pid) : undefined
}

/** Takes a process into care that somebody else started: haproxy goes into the background by itself. */
export function adopt(place: Place, name: string, pid: number): void {
  writeFileSync(fileOf(place, name, 'pid'), `${pid} ${startTimeOf(pid) ?? ''}`)
}

/** Starts a daemon in a process group of its own; with a name alone, the one that was started under that name before. */
export function startDaemon(place: Place, given: DaemonCommand | string): void {
  const name = typeof given === 'string' ? given : given.name
  const file = fileOf(place, name, 'json')
  if (pidOf(place, name) !== undefined) return
  const command =
    typeof given === 'string' ? (JSON.parse(readFileSync(file, 'utf8')) as DaemonCommand) : given
  writeFileSync(file, JSON.stringify(command))
  const log = openSync(logOf(place, name), 'a')
  const child = spawn(command.program, command.arguments, {
    cwd: place.folder,
    detached: true,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...ownedBy(place), ...command.environment },
    stdio: ['ignore', log, log],
    ...command.runAs,
  })
  closeSync(log)
  child.on('error', () => undefined)
  child.unref()
  if (child.pid !== undefined) adopt(place, name, child.pid)
}

/** Ends a daemon and what is left of its group. */
export async function stopDaemon(place: Place, name: string): Promise<void> {
  const pid = pidOf(place, name)
  if (pid !== undefined) {
    process.kill(pid, 'SIGTERM')
    const limit = Date.now() + stopPatience
    while (pidOf(place, name) !== undefined && Date.now() < limit) await moment()
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (!killGroup(pid, signal)) break
      await moment()
    }
  }
  rmSync(fileOf(place, name, 'pid'), { force: true })
}

/** @returns false when nobody is left in it */
function killGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

/** Ends every daemon of this place. */
export async function stopAll(place: Place): Promise<void> {
  const names = readdirSync(join(place.folder, 'daemons'))
    .filter((file) => file.endsWith('.pid'))
    .map((file) => file.slice(0, -4))
  await Promise.all(names.map((name) => stopDaemon(place, name)))
}

/** @throws Error with the end of the log when the daemon ends first or is not ready in time */
export async function untilReady(
  place: Place,
  name: string,
  isReady: () => Promise<boolean>,
  patience: Milliseconds = 120_000,
): Promise<void> {
  const limit = Date.now() + patience
  for (;;) {
    if (await isReady().catch(() => false)) return
    const hasEnded = pidOf(place, name) === undefined
    if (hasEnded || Date.now() > limit) {
      const log = readFileSync(logOf(place, name), 'utf8').slice(-4_000)
      const what = hasEnded ? 'has ended' : `is not ready after ${patience / 1_000} s`
      throw new Error(`${name} ${what}; its log ends with\n${log}`)
    }
    await moment()
  }
}

/** True when a server on a UNIX socket answers with anything. */
export async function answersOnSocket(socketPath: string): Promise<boolean> {
  const sent = request({ socketPath, path: '/', agent: false, timeout: 3_000 })
  sent.on('timeout', () => sent.destroy(new Error('no answer in time')))
  sent.end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  answer.resume()
  return true
}

/** True when a server answers with anything but an error. */
export async function answers(url: string): Promise<boolean> {
  const { status, body } = await fetch(url, { signal: AbortSignal.timeout(3_000) })
  await body?.cancel()
  return status < 400
}
