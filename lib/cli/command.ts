import { Command, CommanderError, Option } from 'commander'
import { packageVersion } from '../runtime/package-version.ts'
import { terminalText } from '../observe/text-table.ts'
import { failure, helpHint, UsageError } from './failure.ts'
import { helpEnding, helpItem, usualWidth, type Example, type ExitCode } from './help.ts'
import { processTerminal, type Terminal } from './terminal.ts'

export { UsageError } from './failure.ts'
export type { ExitCode } from './help.ts'

/** The options of one call of a command, read by name in camelCase: `--admin-socket` is `adminSocket`. */
export class CommandOptions {
  readonly #values: Readonly<Record<string, unknown>>

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values
  }

  /** The text given, or `undefined`. */
  text(name: string): string | undefined {
    const value = this.#values[name]
    return typeof value === 'string' ? value : undefined
  }

  /** Whether the option was given. */
  flag(name: string): boolean {
    return this.#values[name] === true
  }

  /** Everything given with a repeatable option, in order. */
  list(name: string): readonly string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? (value as readonly string[]) : []
  }

  /** A whole number in a range. @throws {UsageError} */
  integer(name: string, range: { readonly min: number; readonly max: number }): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (number >= range.min && number <= range.max) return number
    const option = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    throw new UsageError(`--${option} must be a whole number from ${range.min} to ${range.max}`)
  }
}

/** One option of a command. */
export interface OptionSpec {
  /** `--state <file>` takes a value, `--json` none. */
  readonly flags: string
  readonly help: string
  /** May be given several times; read it with `options.list()`. */
  readonly repeatable?: boolean
  /** Shown in the help only; the command decides. */
  readonly defaultText?: string
}

/** What a command is called with. */
export interface CommandCall {
  readonly options: CommandOptions
  readonly arguments: readonly string[]
  readonly terminal: Terminal
}

/** One subcommand. */
export interface CommandSpec {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** The text of the command's own help, wrapped anew; the summary unless there is more. */
  readonly description?: string
  /** `[code]` may be left out, `<code>` may not. */
  readonly arguments?: readonly { readonly name: string; readonly help: string }[]
  readonly options?: readonly OptionSpec[]
  readonly examples?: readonly Example[]
  readonly exitCodes?: readonly ExitCode[]
  /** Runs when no command is named. */
  readonly isDefault?: boolean
  /** @returns the exit code */
  run(call: CommandCall): number | Promise<number>
}

/** A program made of subcommands. */
export interface ProgramSpec {
  readonly name: string
  readonly description: string
  readonly commands: readonly CommandSpec[]
  readonly examples?: readonly Example[]
  readonly exitCodes?: readonly ExitCode[]
}

function addOption(command: Command, spec: OptionSpec): void {
  const ending = spec.defaultText === undefined ? '' : ` (default: ${spec.defaultText})`
  const option = new Option(spec.flags, `${spec.help}${ending}`)
  if (spec.repeatable === true) {
    option.argParser((value: string, before: readonly string[] | undefined) => [
      ...(before ?? []),
      value,
    ])
  }
  command.addOption(option)
}

/** Which command a call has come to, and how it ended. */
interface Outcome {
  command: string | undefined
  exitCode: number
}

function buildProgram(program: ProgramSpec, terminal: Terminal, outcome: Outcome): Command {
  const width = terminal.columns ?? usualWidth
  const output = (command?: string) => ({
    writeOut: (text: string) => terminal.out(text),
    writeErr: (text: string) => terminal.error(text),
    getOutHelpWidth: () => width,
    getErrHelpWidth: () => width,
    outputError: (text: string, write: (text: string) => void) => {
      // A value that was given is in it; the suggestion has a line of its own.
      const [, problem = '', suggestion = ''] =
        /^(?:error: )?(.*?)(\n\(Did you mean [^\n]*\))?\s*$/s.exec(text) ?? []
      const shown = `${terminalText(problem)}${suggestion}`
      write(`${program.name}: ${shown}\n${helpHint({ program: program.name, command })}`)
    },
  })
  const root = new Command(program.name)
    .description(program.description.replaceAll('\n', ' '))
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', helpEnding(width, program.examples, program.exitCodes))
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput(output())
    .configureHelp({
      formatItem: (term, termWidth, description) => helpItem(term, termWidth, description, width),
    })
  for (const spec of program.commands) {
    const command = root
      .command(spec.name, { isDefault: spec.isDefault ?? false })
      .summary(spec.summary)
      .description((spec.description ?? spec.summary).replaceAll('\n', ' '))
      .helpOption('-h, --help', 'print this help')
      .addHelpText('after', helpEnding(width, spec.examples, spec.exitCodes))
      .configureOutput(output(spec.name))
    for (const { name, help } of spec.arguments ?? []) command.argument(name, help)
    for (const option of spec.options ?? []) addOption(command, option)
    command.action(async () => {
      outcome.command = spec.name
      const options = new CommandOptions(command.opts())
      outcome.exitCode = await spec.run({ options, arguments: command.args, terminal })
    })
  }
  return root
}

/**
 * Runs a program with its arguments and returns its exit code. Never throws: what went wrong is on standard error as
 * `overlapd-proxy: …` with the command that helps, and in the exit code.
 * @param argv what follows the program's name
 */
export async function runProgram(
  program: ProgramSpec,
  argv: readonly string[],
  terminal: Terminal = processTerminal(),
): Promise<number> {
  const outcome: Outcome = { command: undefined, exitCode: 0 }
  const root = buildProgram(program, terminal, outcome)
  try {
    await root.parseAsync([...argv], { from: 'user' })
    return outcome.exitCode
  } catch (thrown) {
    // commander has printed its own message; help and version end with 0, wrong calls with 1.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
    const commands = program.commands.map(({ name }) => name)
    const called = { program: program.name, command: outcome.command, commands }
    const { text, exitCode } = failure(called, thrown)
    terminal.error(text)
    return exitCode
  }
}
