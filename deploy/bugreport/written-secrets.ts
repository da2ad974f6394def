/** Which texts of a settings file may be secrets that stand where their file should be named? */
import { existsSync } from 'node:fs'
import type { ConfigDefinition } from '../../lib/cli/config-command.ts'
import type { Table } from '../../lib/config/entry.ts'
import { isMapping } from '../../lib/runtime/mapping.ts'
import { tableNames } from '../../lib/config/table-names.ts'
import { readYamlFile } from '../../lib/files/yaml.ts'

/**
 * Such a file cannot be used, and the error about it may quote it.
 * @param argv of the daemon
 */
export function writtenSecrets(
  definition: ConfigDefinition<Table>,
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const names = new Set(
    tableNames(definition.table)
      .filter(({ entry }) => entry.secret)
      .map(({ keys }) => String(keys.at(-1))),
  )
  const named = argv.filter((_, index) => /^(?:-c|--config)$/.test(argv[index - 1] ?? ''))
  const other = environment[`${definition.environmentPrefix}_CONFIG`] ?? definition.defaultFile
  return (named.length > 0 ? named : [other]).flatMap((file) => textsAt(read(file), names))
}

function read(file: string): unknown {
  try {
    return readYamlFile(file).value
  } catch {
    return undefined
  }
}

function textsAt(value: unknown, names: ReadonlySet<string>): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((one) => textsAt(one, names))
  if (!isMapping(value)) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    const isOurs = names.has(name) && typeof inner === 'string' && !existsSync(inner)
    return isOurs ? [inner] : textsAt(inner, names)
  })
}
