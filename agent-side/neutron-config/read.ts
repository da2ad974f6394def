import type { Table } from '../../lib/config/entry.ts'
import type { GivenDocument } from '../../lib/config/load.ts'
import { OsloConfig } from '../../lib/oslo/oslo-config.ts'
import { readOsloFiles, type OsloSource } from '../../lib/oslo/oslo-files.ts'
import { nativeDocument, nativeMapping } from './document.ts'
import { fitSettings } from './fit-settings.ts'
import { nativeYaml } from './native-yaml.ts'
import { neutronOptions } from './neutron-options.ts'
import { neutronReport } from './report.ts'
import { flavourOf, translate, type NeutronDirectory } from './translate.ts'
import type { ReportRow } from './translation.ts'

/** Which of Neutron's files to read, and for what. */
export interface NeutronFiles {
  /** What `--config-file` and `--config-dir` named, in their order. */
  readonly sources: readonly OsloSource[]
  readonly directory?: NeutronDirectory
  readonly workingDirectory: string
  /** Our own options, into whose ranges the values must fit. */
  readonly table: Table
}

/** Their content, for the program and for its operator. */
export interface NeutronReading {
  /** For `loadConfig()`. It holds the secrets. */
  readonly document: GivenDocument
  /** The same as an operator would write it, secrets as the files that are to hold them. */
  readonly yaml: string
  readonly report: readonly ReportRow[]
}

/**
 * Reads Neutron's own files as its metadata agents do, and translates them into our options.
 * @throws `OsloFileError`, `OsloParseError`, `OsloValueError` or {@link NeutronConfigError}
 */
export function readNeutronConfig(given: NeutronFiles): NeutronReading {
  const files = readOsloFiles(given.sources)
  const config = new OsloConfig(files, Object.values(neutronOptions))
  const flavour = flavourOf(
    config,
    files.map(({ file }) => file),
  )
  const { directory } = given
  const translation = translate(config, { flavour, ...(directory && { directory }) })
  const { settings, fittings } = fitSettings(translation.settings, given.table)
  return {
    document: nativeDocument(settings, given.workingDirectory),
    yaml: nativeYaml(nativeMapping(settings)),
    report: neutronReport(config, translation, fittings),
  }
}
