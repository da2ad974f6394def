/** What does the operator read when a command fails, and which command helps? */
import { ConfigError } from '../config/config-error.ts'
import { terminalText } from '../observe/text-table.ts'
import { causeText } from '../runtime/errors.ts'

/** A command was called in a way it cannot be; the message has what to do instead. Ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The command that was called, and those that may help. */
export interface Called {
  /** `overlapd-proxy` */
  readonly program: string
  /** `undefined` before a command was chosen. */
  readonly command: string | undefined
  /** Names of all commands of the program. */
  readonly commands: readonly string[]
}

/** `Try "overlapd-proxy check --help".` and a line end. */
export function helpHint({ program, command }: Pick<Called, 'program' | 'command'>): string {
  return `Try "${[program, command, '--help'].filter((part) => part !== undefined).join(' ')}".\n`
}

/** The command at night: it looks at both daemons and the host. */
export const doctorHint = 'Try "overlapd doctor".\n'

function configHint({ program, command, commands }: Called): string {
  // `check` has just printed all there is; what is left is the list of options.
  const helper = command === 'check' ? 'reference' : 'check'
  return commands.includes(helper) ? `Try "${program} ${helper}".\n` : doctorHint
}

/** The end of a log, as the demo shows that of a daemon, has lines of its own. */
function shownLines(text: string): string {
  return text.split('\n').map(terminalText).join('\n')
}

/** What standard error gets, and the exit code. Values that the operator gave are in it, so control characters are escaped. */
export function failure(
  called: Called,
  thrown: unknown,
): { readonly text: string; readonly exitCode: number } {
  const { program } = called
  if (thrown instanceof ConfigError) {
    return { text: `${program}: ${thrown.message}\n${configHint(called)}`, exitCode: 2 }
  }
  if (thrown instanceof UsageError) {
    return { text: `${program}: ${terminalText(thrown.message)}\n${helpHint(called)}`, exitCode: 2 }
  }
  return { text: `${program}: ${shownLines(causeText(thrown))}\n${doctorHint}`, exitCode: 1 }
}
