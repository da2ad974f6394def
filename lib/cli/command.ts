import { Command, CommanderError, Option } from 'commander'
import { ConfigError } from '../config/config-error.ts'
import { causeText } from '../runtime/errors.ts'
import { packageVersion } from '../runtime/package-version.ts'
import { processTerminal, type Terminal } from './terminal.ts'

/** A command was called in a way it cannot be; the message tells what to do instead. Ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

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

/** A call as one would type it, and what it does. */
export type Example = readonly [call: string, what: string]
/** An exit code and what it means. */
export type ExitCode = readonly [code: number, meaning: string]

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
  /** What the command's own help says, wrapped anew; the summary unless there is more. */
  readonly description?: string
  /** `[code]` may be left out, `<code>` may not. */
  readonly arguments?: readonly { readonly name: string; readonly help: string }[]
  readonly options?: readonly OptionSpec[]
  readonly examples?: readonly Example[]
  readonly exitCodes?: readonly ExitCode[]
  /** Works, but is not listed. */
  readonly isHidden?: boolean
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

const usualExitCodes: readonly ExitCode[] = [
  [0, 'done'],
  [1, 'failed; standard error says why'],
  [2, 'called wrongly, or the configuration cannot be used'],
]

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd()).join('\n')
}

function helpEnding(examples: readonly Example[], exitCodes: readonly ExitCode[]): string {
  const codes = exitCodes.map(([code, meaning]) => [String(code), meaning] as const)
  const parts = [
    ...(examples.length > 0 ? [`Examples:\n${columns(examples)}`] : []),
    `Exit codes:\n${columns(codes)}`,
  ]
  return `\n${parts.join('\n\n')}`
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

function buildProgram(
  program: ProgramSpec,
  terminal: Terminal,
  finished: (exitCode: number) => void,
): Command {
  const root = new Command(program.name)
    .description(program.description.replaceAll('\n', ' '))
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', helpEnding(program.examples ?? [], program.exitCodes ?? usualExitCodes))
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.error(text),
      outputError: (text, write) =>
        write(
          `${program.name}: ${text.replace(/^error: /, '').trimEnd()}\nTry "${program.name} --help".\n`,
        ),
    })
  for (const spec of program.commands) {
    const isDefault = spec.isDefault ?? false
    const command = root
      .command(spec.name, { hidden: spec.isHidden ?? false, isDefault })
      .summary(spec.summary)
      .description((spec.description ?? spec.summary).replaceAll('\n', ' '))
      .helpOption('-h, --help', 'print this help')
      .addHelpText('after', helpEnding(spec.examples ?? [], spec.exitCodes ?? usualExitCodes))
    for (const { name, help } of spec.arguments ?? []) command.argument(name, help)
    for (const option of spec.options ?? []) addOption(command, option)
    command.action(async () => {
      const options = new CommandOptions(command.opts())
      finished(await spec.run({ options, arguments: command.args, terminal }))
    })
  }
  return root
}

/** What a failed command tells the operator, and its exit code. */
function failure(
  name: string,
  thrown: unknown,
): { readonly text: string; readonly exitCode: number } {
  if (thrown instanceof ConfigError) return { text: `${name}: ${thrown.message}\n`, exitCode: 2 }
  if (thrown instanceof UsageError) {
    return { text: `${name}: ${thrown.message}\nTry "${name} --help".\n`, exitCode: 2 }
  }
  return { text: `${name}: ${causeText(thrown)}\n`, exitCode: 1 }
}

/**
 * Runs a program with its arguments and tells how it went. Never throws: what went wrong is on standard error as
 * `overlapd-proxy: …`, and in the exit code.
 * @param argv what follows the program's name
 */
export async function runProgram(
  program: ProgramSpec,
  argv: readonly string[],
  terminal: Terminal = processTerminal(),
): Promise<number> {
  let exitCode = 0
  const root = buildProgram(program, terminal, (code) => (exitCode = code))
  try {
    await root.parseAsync([...argv], { from: 'user' })
    return exitCode
  } catch (thrown) {
    // commander has printed its own message; help and version end with 0, wrong calls with 1.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
    const { text, exitCode: code } = failure(program.name, thrown)
    terminal.error(text)
    return code
  }
}
