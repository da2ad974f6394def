import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseYaml } from '../../lib/files/yaml.ts'
import { projectRoot } from './source-files.ts'

/** A rule of Prometheus: one that records, or an alert. */
export interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

/** The rules of a file, from the project's folder. */
export function rulesOf(path: string): readonly Rule[] {
  const text = readFileSync(join(projectRoot, path), 'utf8')
  const { groups } = parseYaml(text, path).value as {
    readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[]
  }
  return groups.flatMap(({ rules }) => rules)
}
