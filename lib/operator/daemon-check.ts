/** What would a daemon find in its configuration, as the account that it runs as? */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { defaultConfigFiles, type Daemon } from '../config/defaults.ts'
import { isMapping } from '../runtime/mapping.ts'
import type { Milliseconds } from '../runtime/clock.ts'
import type { ProcessFacts } from '../host/process-facts.ts'
import { mappings, textOf, texts } from './answer-fields.ts'

/** What `check` printed. */
export interface DaemonCheck {
  readonly warnings: readonly string[]
  /** Why the configuration cannot be used; empty when it can. */
  readonly problems: readonly string[]
  /** Effective values by their path. */
  readonly options: ReadonlyMap<string, unknown>
}

const programs: Readonly<Record<Daemon, string>> = {
  proxy: fileURLToPath(new URL('../../proxy/main.js', import.meta.url)),
  agent: fileURLToPath(new URL('../../agent-side/main.js', import.meta.url)),
}

/** Lines around the problems. */
const isFraming = /^Try |Cannot use the configuration: \d+ problem/

const longest: Milliseconds = 20_000

/** The options of a daemon that runs, as they stand on its command line. */
export function optionsOf(command: readonly string[]): readonly string[] {
  const program = command.findIndex((word) => /\/(?:main\.js|overlapd-(?:proxy|agent))$/.test(word))
  const words = command.slice(program + 1)
  return words[0] === 'serve' ? words.slice(1) : words
}

/** The configuration files of a daemon: those on its command line; without one there, or without a process, the usual one. */
export function configFilesOf(
  daemon: Daemon,
  running: ProcessFacts | undefined,
): readonly string[] {
  const { values } = parseArgs({
    args: [...optionsOf(running?.command ?? [])],
    options: { config: { type: 'string', short: 'c', multiple: true } },
    // The daemon has other options too, and has accepted all of them.
    strict: false,
  })
  const named = (values.config ?? []).filter((file) => typeof file === 'string')
  return named.length > 0 ? named : [defaultConfigFiles[daemon]]
}

/**
 * Runs `check` of a daemon, by the program of this package.
 * @param running the daemon's process, whose options and account are taken over; absent: this user's, and the usual files
 * @returns `undefined` where there is no program to run
 */
export async function checkDaemon(
  daemon: Daemon,
  running: ProcessFacts | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<DaemonCheck | undefined> {
  const program = programs[daemon]
  if (!existsSync(program)) return undefined
  const own = running === undefined ? [] : optionsOf(running.command)
  const isRoot = process.geteuid?.() === 0
  const [groupId] = running?.groupIds ?? []
  const account =
    isRoot && running !== undefined && groupId !== undefined
      ? { uid: running.userId, gid: groupId }
      : {}
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, 'check', '--json', ...own],
      { ...account, timeout: longest, env: environment, maxBuffer: 2 ** 24 },
      (_failure, out, error) => resolve(readCheck(out, error)),
    )
  })
}

function readCheck(out: string, error: string): DaemonCheck {
  const report = parsed(out)
  if (!isMapping(report)) {
    const problems = error.split('\n').map((line) => line.trim())
    const reported = problems.filter((line) => line !== '' && !isFraming.test(line))
    return { warnings: [], problems: reported, options: new Map() }
  }
  const rows = mappings(report['options'])
  const options = new Map(rows.map((row) => [textOf(row['path']), row['value']]))
  return { warnings: texts(report['warnings']), problems: [], options }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
