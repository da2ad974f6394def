import { UsageError, type CommandCall } from '../../lib/cli/command.ts'
import type { ForeignFiles, ForeignReading } from '../../lib/cli/config-command.ts'
import type { Table } from '../../lib/config/entry.ts'
import { ConfigError } from '../../lib/config/config-error.ts'
import { OsloValueError } from '../../lib/oslo/oslo-config.ts'
import { OsloFileError } from '../../lib/oslo/oslo-files.ts'
import { OsloParseError } from '../../lib/oslo/oslo-ini.ts'
import { readNeutronConfig } from './read.ts'
import { neutronReportText } from './report.ts'
import { NeutronConfigError, type NeutronDirectory } from './translate.ts'

const directories: readonly NeutronDirectory[] = ['neutron-rpc', 'neutron-rest', 'ovn']

function directoryOf(call: CommandCall): NeutronDirectory | undefined {
  const word = call.options.text('neutronDirectory')
  if (word === undefined) return undefined
  const directory = directories.find((one) => one === word)
  if (directory === undefined) {
    throw new UsageError(
      `--neutron-directory ${JSON.stringify(word)} is not one of ${directories.join(', ')}`,
    )
  }
  return directory
}

function isProblemOfFiles(thrown: unknown): thrown is Error {
  return (
    thrown instanceof OsloFileError ||
    thrown instanceof OsloParseError ||
    thrown instanceof OsloValueError ||
    thrown instanceof NeutronConfigError
  )
}

function read(call: CommandCall, table: Table): ForeignReading | undefined {
  const files = call.options.list('configFile').map((path) => ({ kind: 'file', path }) as const)
  const folders = call.options
    .list('configDir')
    .map((path) => ({ kind: 'directory', path }) as const)
  const directory = directoryOf(call)
  if (files.length + folders.length === 0) {
    if (directory !== undefined) throw new UsageError('--neutron-directory needs --config-file')
    return undefined
  }
  try {
    const reading = readNeutronConfig({
      sources: [...files, ...folders],
      workingDirectory: process.cwd(),
      table,
      ...(directory !== undefined && { directory }),
    })
    const heading = '# The same in the form of overlapd-agent:'
    return {
      document: reading.document,
      report: `${neutronReportText(reading.report)}\n${heading}\n${reading.yaml}`,
    }
  } catch (thrown) {
    if (!isProblemOfFiles(thrown)) throw thrown
    throw new ConfigError([{ path: '--config-file', message: thrown.message }])
  }
}

/** `--config-file` and `--config-dir` as OpenStack's services take them. */
export const neutronFiles: ForeignFiles = {
  options: [
    {
      flags: '--config-file <file>',
      help: "a file of Neutron's agents: neutron.conf, metadata_agent.ini, ovn_agent.ini; later ones win",
      repeatable: true,
    },
    {
      flags: '--config-dir <folder>',
      help: 'all *.conf in it, read after the files',
      repeatable: true,
    },
    {
      flags: '--neutron-directory <kind>',
      help: 'with --config-file: what to look ports up with, neutron-rpc, neutron-rest or ovn',
      defaultText: 'ovn for the files of OVN agents, else neutron-rpc',
    },
  ],
  read,
}
