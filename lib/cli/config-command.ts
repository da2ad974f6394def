import { jsonText } from './json-output.ts'
import { configReport, configReportData } from '../config/report.ts'
import { loadConfig, type GivenDocument, type LoadedConfig } from '../config/load.ts'
import { referenceMarkdown, sampleYaml } from '../config/reference.ts'
import type { ConfigOf, ConfigProblem, Table } from '../config/entry.ts'
import type { CommandCall, CommandSpec, OptionSpec } from './command.ts'

/** Files in another program's form that may stand in for ours. */
export interface ForeignFiles {
  readonly options: readonly OptionSpec[]
  /**
   * @param table our own options, for values that must fit them
   * @returns `undefined` when the call names none
   * @throws {ConfigError}
   */
  read(call: CommandCall, table: Table): ForeignReading | undefined
}

/** The content of such files. */
export interface ForeignReading {
  readonly document: GivenDocument
  /** What became of each of their options, and the same configuration in our own form, without secrets. */
  readonly report: string
}

/** What a binary's configuration is, for its commands. */
export interface ConfigDefinition<T extends Table> {
  readonly table: T
  /** `OVERLAPD_PROXY` */
  readonly environmentPrefix: string
  /** Read when it exists and no file is named: `/etc/overlapd/proxy.yaml` */
  readonly defaultFile: string
  readonly foreign?: ForeignFiles
  check?(config: ConfigOf<T>): readonly ConfigProblem[]
}

/** The options of every command that needs the configuration. */
export function configOptions(definition: ConfigDefinition<Table>): readonly OptionSpec[] {
  return [
    {
      flags: '-c, --config <file>',
      help: 'YAML file; of several the later ones win',
      repeatable: true,
      defaultText: `$${definition.environmentPrefix}_CONFIG or ${definition.defaultFile}`,
    },
    {
      flags: '-s, --set <key=value>',
      help: 'set one option, as in --set log.level=debug; wins over everything',
      repeatable: true,
    },
    ...(definition.foreign?.options ?? []),
  ]
}

/** Loads the configuration a command was called with. @throws {ConfigError} */
export function loadForCommand<T extends Table>(
  definition: ConfigDefinition<T>,
  call: CommandCall,
): LoadedConfig<T> {
  const foreign = definition.foreign?.read(call, definition.table)
  return loadConfig(definition.table, {
    file: call.options.list('config'),
    // Another program's files replace the one that was not named.
    ...(foreign === undefined
      ? { defaultFile: definition.defaultFile }
      : { documents: [foreign.document] }),
    environment: call.terminal.environment,
    environmentPrefix: definition.environmentPrefix,
    set: call.options.list('set'),
    ...(definition.check && { check: (config) => definition.check?.(config) ?? [] }),
  })
}

/**
 * `check`: reads the configuration as the daemon would and prints what it would run with.
 * @param missing what this host lacks for a configuration; it is printed as a warning
 */
export function checkCommand<T extends Table>(
  program: string,
  definition: ConfigDefinition<T>,
  missing: (config: ConfigOf<T>) => string | undefined = () => undefined,
): CommandSpec {
  return {
    name: 'check',
    summary: 'read the configuration and print every effective value',
    description: `Reads the configuration exactly as "${program} serve" would, without starting anything, and prints each
effective value with the place it came from. Reports every problem at once. Secrets are never printed.`,
    options: [
      ...configOptions(definition),
      { flags: '--json', help: 'print JSON instead of a table' },
      { flags: '--quiet', help: 'print problems only, for units and scripts' },
    ],
    examples: [
      [`${program} check`, 'what would run now'],
      [`${program} check -c ./new.yaml`, 'is the new file right?'],
      [`${program} check --set log.level=debug --json`, 'for programs'],
    ],
    exitCodes: [
      [0, 'the configuration can be used'],
      [2, 'it cannot; every problem is on standard error'],
    ],
    run(call) {
      const foreign = definition.foreign?.read(call, definition.table)
      // First, because it also helps where the configuration cannot be used.
      const isQuiet = call.options.flag('quiet')
      if (foreign !== undefined && !call.options.flag('json') && !isQuiet)
        call.terminal.out(`${foreign.report}\n`)
      const loaded = loadForCommand(definition, call)
      if (isQuiet) return 0
      const lacking = missing(loaded.config) ?? []
      const report = { ...loaded, warnings: loaded.warnings.concat(lacking) }
      call.terminal.out(
        call.options.flag('json') ? jsonText(configReportData(report)) : configReport(report),
      )
      return 0
    },
  }
}

/** `reference`: prints the documentation of every option, made from the table that reads them. */
export function referenceCommand(
  program: string,
  definition: ConfigDefinition<Table>,
): CommandSpec {
  return {
    name: 'reference',
    summary: 'print the reference of all options',
    description: `Prints every option of the configuration with its form, default and meaning, as Markdown or as a commented
YAML file to begin with.`,
    options: [{ flags: '--sample', help: 'print a commented YAML file instead of Markdown' }],
    examples: [
      [`${program} reference`, 'which options are there?'],
      [`${program} reference --sample > new.yaml`, 'begin a configuration'],
    ],
    run({ options, terminal }) {
      const { table, environmentPrefix } = definition
      terminal.out(
        options.flag('sample') ? sampleYaml(table) : referenceMarkdown(table, environmentPrefix),
      )
      return 0
    },
  }
}
