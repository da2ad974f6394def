import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The version in the project's package.json, the same whether the code runs from its source or from `dist/`. */
export function packageVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const version = versionIn(join(folder, 'package.json'))
    if (version !== undefined) return version
    const above = dirname(folder)
    if (above === folder) return 'unknown'
    folder = above
  }
}

function versionIn(file: string): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
    return name === 'overlapd' && typeof version === 'string' ? version : undefined
  } catch {
    return undefined
  }
}
