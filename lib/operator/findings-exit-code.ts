/** Which findings make a command fail? */
import { UsageError, type CommandCall, type ExitCode, type OptionSpec } from '../cli/command.ts'
import type { Finding, Level } from './finding.ts'

/** From which level on a command fails. */
export const failOnLevelOption: OptionSpec = {
  flags: '--fail-on <level>',
  help: 'fail or warn: the level from which on the exit code is 1',
  defaultText: 'fail',
}

/** @throws {UsageError} */
export function failingLevels(call: CommandCall): ReadonlySet<Level> {
  const level = call.options.text('failOn') ?? 'fail'
  if (level === 'fail') return new Set(['fail'])
  if (level === 'warn') return new Set(['fail', 'warn'])
  throw new UsageError('--fail-on must be fail or warn')
}

/** 1 when one of the findings is of a level that fails. */
export function findingsExitCode(findings: readonly Finding[], failing: ReadonlySet<Level>): 0 | 1 {
  return findings.some(({ level }) => failing.has(level)) ? 1 : 0
}

/** Of commands that look for trouble. */
export const findingsExitCodes: readonly ExitCode[] = [
  [0, 'nothing that fails; there may be warnings'],
  [1, 'something fails; with --fail-on warn, a warning as well'],
  [2, 'could not query, or called wrongly'],
]
