/** The manual, made from the tables that also read the command line and the configuration. */
import type { CommandSpec, ProgramSpec } from '../../lib/cli/command.ts'
import type { ConfigDefinition } from '../../lib/cli/config-command.ts'
import type { Table } from '../../lib/config/entry.ts'
import { usualExitCodes } from '../../lib/cli/help.ts'
import { optionTexts, type OptionText } from '../../lib/config/reference.ts'
import { roffArgument, roffHead, roffItem, roffSample, roffText, type RoffEdition } from './roff.ts'

const flat = (text: string): string => text.replaceAll('\n', ' ')

function callOf(
  program: string,
  { name, arguments: given = [], options = [] }: CommandSpec,
): string {
  const words = [...given.map((each) => each.name), ...(options.length > 0 ? ['[OPTION]…'] : [])]
  return [program, name, ...words].join(' ')
}

function commandText(program: string, spec: CommandSpec): string {
  const { arguments: given = [], options = [], examples = [], exitCodes = [] } = spec
  const part = (title: string, items: readonly string[]): string =>
    items.length === 0 ? '' : `.PP\n${title}\n.RS\n${items.join('')}.RE\n`
  return [
    `.SS ${roffArgument(callOf(program, spec))}\n${roffText(flat(spec.description ?? spec.summary))}\n`,
    ...given.map(({ name, help }) => roffItem(name, help)),
    ...options.map(({ flags, help, defaultText }) =>
      roffItem(flags, defaultText === undefined ? help : `${help} (default: ${defaultText})`),
    ),
    part(
      'Exit codes:',
      exitCodes.map(([code, meaning]) => roffItem(String(code), meaning)),
    ),
    part(
      'Examples:',
      examples.map(([call, what]) => roffItem(call, what)),
    ),
  ].join('')
}

/** `overlapd-agent(8)`: a program with all its commands. */
export function programPage(
  program: ProgramSpec,
  {
    section,
    summary,
    seeAlso,
  }: { readonly section: number; readonly summary: string; readonly seeAlso: string },
  edition: RoffEdition,
): string {
  const main = program.commands.find(({ isDefault }) => isDefault === true)
  const codes = program.exitCodes ?? usualExitCodes
  return [
    roffHead(program.name, section, summary, edition),
    '.SH SYNOPSIS\n',
    ...(main === undefined ? [] : [`.B ${roffArgument(program.name)}\n.RI [ OPTION ]...\n.br\n`]),
    `.B ${roffArgument(program.name)}\n.I COMMAND\n.RI [ OPTION ]...\n`,
    `.SH DESCRIPTION\n${roffText(flat(program.description))}\n`,
    '.SH COMMANDS\n',
    ...program.commands.map((spec) => commandText(program.name, spec)),
    '.SH EXIT STATUS\nUnless a command documents others:\n',
    ...codes.map(([code, meaning]) => roffItem(String(code), meaning)),
    ...((program.examples ?? []).length > 0 ? ['.SH EXAMPLES\n'] : []),
    ...(program.examples ?? []).map(([call, what]) => roffItem(call, what)),
    `.SH SEE ALSO\n${roffText(seeAlso)}\n`,
  ].join('')
}

function optionText({ key, form, fallback, isRequired, variable, help }: OptionText): string {
  const absent = isRequired ? 'It must be given.' : 'It has no default.'
  const facts = [
    fallback === undefined ? absent : `Default: ${fallback}`,
    ...(variable === undefined ? [] : [`Variable: ${variable}`]),
  ]
  return [
    `.TP\n.BR ${roffArgument(key)} ": " ${roffArgument(form)}\n${roffText(help)}\n`,
    ...facts.map((fact) => `.br\n${roffText(fact)}\n`),
  ].join('')
}

/** `overlapd-agent.yaml(5)`: every option of a configuration file. */
export function configurationPage(
  daemon: string,
  definition: ConfigDefinition<Table>,
  edition: RoffEdition,
): string {
  const { table, environmentPrefix, defaultFile } = definition
  return [
    roffHead(`${daemon}.yaml`, 5, `configuration of ${daemon}(8)`, edition),
    '.SH SYNOPSIS\n',
    `.I ${roffArgument(defaultFile)}\n`,
    '.SH DESCRIPTION\n',
    roffText(
      `${daemon} reads this YAML file, then the environment, then --set key=value; the later one wins. Unknown keys are errors, and all problems are reported at once. Secrets are files of their own. "${daemon} check" prints every effective value and where it came from.`,
    ),
    '\n.PP\nOne value of a section is written in either of these forms:\n',
    roffSample(['section:', '  key: value', '', 'section: { key: value }']),
    '.SH OPTIONS\n',
    ...optionTexts(table, environmentPrefix).map(optionText),
    `.SH SEE ALSO\n${roffText(`${daemon}(8), and the examples in /usr/share/doc/overlapd/deploy/examples`)}\n`,
  ].join('')
}
