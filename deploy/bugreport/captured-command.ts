/** What does a command print that is run for a report? */
import { runProgram, type ProgramSpec } from '../../lib/cli/command.ts'
import type { Terminal } from '../../lib/cli/terminal.ts'

/** What a command printed. */
export interface CapturedOutput {
  readonly exitCode: number
  readonly out: string
  readonly error: string
}

/** Runs a command of one of our programs in this process. */
export async function runCaptured(
  program: ProgramSpec,
  argv: readonly string[],
  environment: Terminal['environment'],
): Promise<CapturedOutput> {
  let out = ''
  let error = ''
  const exitCode = await runProgram(program, argv, {
    environment,
    columns: undefined,
    closed: new AbortController().signal,
    out: (text) => void (out += text),
    error: (text) => void (error += text),
  })
  return { exitCode, out, error }
}
