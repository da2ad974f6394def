/** Does the journal of systemd read what this process logs, and how is it given the priority of a line? */
import { fstatSync } from 'node:fs'

/** Device and inode of the journal's stream, when standard output is connected with it. @see systemd.exec(5), `$JOURNAL_STREAM` */
const variable = 'JOURNAL_STREAM'

/** What a program that logs to the same place needs of the environment. */
export function journalEnvironment(
  environment: NodeJS.ProcessEnv = process.env,
): Readonly<Record<string, string>> {
  const stream = environment[variable]
  return stream === undefined ? {} : { [variable]: stream }
}

/** @param fd where lines are written. A shell may have redirected it, and left the variable as it was. */
export function isReadByJournal(fd: number, environment: NodeJS.ProcessEnv = process.env): boolean {
  const stream = environment[variable]
  if (stream === undefined) return false
  const { dev, ino } = fstatSync(fd)
  return stream === `${dev}:${ino}`
}

/** @see sd-daemon(3), syslog(3) */
const priorities: Readonly<Record<string, number>> = { error: 3, warn: 4, info: 6, debug: 7 }
const levelOf = /^\{"level":"(\w+)"/

/** A line of the log with its priority in front, which the journal takes off again. */
export function prioritized(line: string): string {
  const priority = priorities[levelOf.exec(line)?.[1] ?? '']
  return priority === undefined ? line : `<${priority}>${line}`
}
