import { pathText } from '../../lib/config/entry.ts'
import { yamlText } from '../../lib/files/yaml.ts'
import { isMapping } from '../../lib/runtime/mapping.ts'
import { Secret } from '../../lib/runtime/secret.ts'

/** Where secrets are by the printed configuration. */
const secretsFolder = '/etc/overlapd/secrets'

function withSecretFiles(value: unknown, path: readonly (string | number)[]): unknown {
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => withSecretFiles(item, [...path, index]))
  }
  if (!isMapping(value)) return value
  const entries = Object.entries(value).map(([key, inner]) => {
    const at = [...path, key]
    if (!(inner instanceof Secret)) return [key, withSecretFiles(inner, at)] as const
    const file = `${secretsFolder}/${pathText(at).replaceAll(/[^a-z_]+/g, '-')}`
    return [`${key}_file`, file] as const
  })
  return Object.fromEntries(entries)
}

/** A configuration as YAML; secrets as the file that is to hold them. */
export function nativeYaml(mapping: unknown): string {
  return yamlText(withSecretFiles(mapping, []))
}
