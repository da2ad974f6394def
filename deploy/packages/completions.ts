/** Completions for shells, made from the tables that read the command line. */
import type { CommandSpec, OptionSpec, ProgramSpec } from '../../lib/cli/command.ts'

/** The words of an option: `-c, --config <file>` has two, and takes a value. */
interface Option {
  readonly words: readonly string[]
  readonly takesValue: boolean
  readonly takesFile: boolean
  readonly help: string
}

const help: Option = {
  words: ['-h', '--help'],
  takesValue: false,
  takesFile: false,
  help: 'print this help',
}

function optionOf({ flags, help: text }: OptionSpec): Option {
  const [spelled = '', value] = flags.split(/ (?=[<[])/)
  const takesFile = value !== undefined && /file|socket|folder|path|archive/.test(value)
  return { words: spelled.split(', '), takesValue: value !== undefined, takesFile, help: text }
}

function optionsOf({ options = [] }: CommandSpec): readonly Option[] {
  return [...options.map(optionOf), help]
}

const functionOf = (program: ProgramSpec): string => `_${program.name.replaceAll('-', '_')}`
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** For `/usr/share/bash-completion/completions`. */
export function bashCompletion(program: ProgramSpec): string {
  const { commands } = program
  const all = commands.flatMap(optionsOf)
  const wordsOf = (options: readonly Option[]): string =>
    options.flatMap(({ words }) => words).join(' ')
  const filed = [...new Set(all.filter(({ takesFile }) => takesFile).flatMap(({ words }) => words))]
  const valued = [
    ...new Set(
      all
        .filter(({ takesValue, takesFile }) => takesValue && !takesFile)
        .flatMap(({ words }) => words),
    ),
  ]
  const cases = [
    ...(filed.length > 0
      ? [`    ${filed.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;`]
      : []),
    ...(valued.length > 0 ? [`    ${valued.join('|')}) return ;;`] : []),
  ]
  return `# Completion of ${program.name} for bash, made from its table of commands.
${functionOf(program)}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} words word
  COMPREPLY=()
${cases.length > 0 ? `  case $previous in\n${cases.join('\n')}\n  esac\n` : ''}  words=${quoted([...commands.map(({ name }) => name), 'help --help --version'].join(' '))}
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
    case $word in
${commands.map((spec) => `      ${spec.name}) words=${quoted(wordsOf(optionsOf(spec)))}; break ;;`).join('\n')}
      help) words=${quoted(commands.map(({ name }) => name).join(' '))}; break ;;
    esac
  done
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F ${functionOf(program)} ${program.name}
`
}

/** For `/usr/share/zsh/vendor-completions`. */
export function zshCompletion(program: ProgramSpec): string {
  const { commands } = program
  const described = (text: string): string => text.replaceAll(/[[\]:\\]/g, String.raw`\$&`)
  const specOf = ({ words, takesValue, takesFile, help: text }: Option): readonly string[] =>
    words.map((word) => {
      const value = takesValue ? `:value:${takesFile ? '_files' : ''}` : ''
      return quoted(`${word}[${described(text)}]${value}`)
    })
  return `#compdef ${program.name}
# Completion of ${program.name} for zsh, made from its table of commands.
local context state state_descr line
typeset -A opt_args
_arguments -C '(-h --help)'{-h,--help}'[print this help]' '(-V --version)'{-V,--version}'[print the version]' '1:command:->command' '*::argument:->argument'
case $state in
  command)
    local -a commands=(
${commands.map(({ name, summary }) => `      ${quoted(`${name}:${described(summary)}`)}`).join('\n')}
      'help:print the help of a command'
    )
    _describe command commands ;;
  argument)
    case $line[1] in
${commands.map((spec) => `      ${spec.name}) _arguments ${optionsOf(spec).flatMap(specOf).join(' ')} ;;`).join('\n')}
    esac ;;
esac
`
}

/** For `/usr/share/fish/vendor_completions.d`. */
export function fishCompletion(program: ProgramSpec): string {
  const { commands } = program
  const names = commands.map(({ name }) => name).join(' ')
  const escaped = (text: string): string => `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`
  const lineOf = (
    command: string,
    { words, takesValue, takesFile, help: text }: Option,
  ): string => {
    const spelled = words.map((word) =>
      word.startsWith('--') ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`,
    )
    const value = takesFile ? ['-r', '-F'] : takesValue ? ['-x'] : []
    return [
      'complete',
      '-c',
      program.name,
      '-n',
      `'__fish_seen_subcommand_from ${command}'`,
      ...spelled,
      ...value,
      '-d',
      escaped(text),
    ].join(' ')
  }
  return [
    `# Completion of ${program.name} for fish, made from its table of commands.`,
    `complete -c ${program.name} -f`,
    ...commands.map(
      ({ name, summary }) =>
        `complete -c ${program.name} -n 'not __fish_seen_subcommand_from ${names} help' -a ${name} -d ${escaped(summary)}`,
    ),
    ...commands.flatMap((spec) => optionsOf(spec).map((option) => lineOf(spec.name, option))),
    '',
  ].join('\n')
}
