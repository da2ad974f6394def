import { isMapping, pathText } from '../../lib/config/entry.ts'
import { Secret } from '../../lib/runtime/secret.ts'

/** Where secrets are by the printed configuration. */
const secretsFolder = '/etc/overlapd/secrets'

function scalar(value: unknown): string {
  // Every JSON text is YAML.
  return JSON.stringify(value)
}

function lines(value: unknown, path: readonly (string | number)[]): readonly string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown, index) => {
      if (!isMapping(item)) return [`- ${scalar(item)}`]
      return lines(item, [...path, index]).map((line, at) => (at === 0 ? `- ${line}` : `  ${line}`))
    })
  }
  if (!isMapping(value)) return [scalar(value)]
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = [...path, key]
    if (inner instanceof Secret) {
      const file = `${secretsFolder}/${pathText(at).replaceAll(/[^a-z_]+/g, '-')}`
      return [`${key}_file: ${scalar(file)}`]
    }
    const isNested = isMapping(inner) || Array.isArray(inner)
    if (!isNested) return [`${key}: ${scalar(inner)}`]
    return [`${key}:`, ...lines(inner, at).map((line) => `  ${line}`)]
  })
}

/** A configuration as YAML; secrets as the file that is to hold them. */
export function nativeYaml(mapping: unknown): string {
  return `${lines(mapping, []).join('\n')}\n`
}
