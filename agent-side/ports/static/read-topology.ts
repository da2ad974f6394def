import { readFile, stat } from 'node:fs/promises'
import type { Bytes } from '../../../lib/runtime/clock.ts'
import { causeText } from '../../../lib/runtime/errors.ts'
import { parseYaml, YamlError, type YamlDocument } from '../../../lib/files/yaml.ts'
import { Problems, StaticFileError } from './problems.ts'
import { buildTopology, type StaticTopology } from './topology.ts'

/** Some 400,000 ports; more would be a mistake, and parsing it would hold everything else up. */
const largestFile: Bytes = 64 * 1024 * 1024

/** Whether the text looks like JSON, by its first character. */
export function isJson(text: string): boolean {
  return /^\s*\{/.test(text)
}

/** YAML contains JSON, but JSON alone is read twenty times as fast, which counts from some ten thousand ports on. */
function parseText(text: string, file: string): YamlDocument {
  if (isJson(text)) {
    try {
      const value = JSON.parse(text) as unknown
      return { value, lineOf: () => undefined }
    } catch {
      // YAML's flow style begins alike, and its reader knows the line of a mistake.
    }
  }
  return parseYaml(text, file, largestFile)
}

/** Reads the text of a file of ports. @throws {StaticFileError} */
export function parseTopology(text: string, file: string): StaticTopology {
  try {
    const document = parseText(text, file)
    return buildTopology(document.value, new Problems(file, (keys) => document.lineOf(keys)))
  } catch (cause) {
    if (cause instanceof YamlError) throw new StaticFileError(file, [cause.message])
    throw cause
  }
}

function unreadable(file: string, cause: unknown): StaticFileError {
  return new StaticFileError(file, [`Cannot read the file: ${causeText(cause)}`])
}

/**
 * Which version of a file is it? Changes with every write, and with every other file put in its place.
 * @throws {StaticFileError}
 */
export async function fileVersion(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
  } catch (cause) {
    throw unreadable(file, cause)
  }
}

/** The whole text of one version of a file. */
export interface VersionedText {
  readonly text: string
  /** See {@link fileVersion}. */
  readonly version: string
}

/**
 * Reads a file. One that is written to meanwhile is read again, so that half of it is never taken for all.
 * @throws {StaticFileError}
 */
export async function readWholeText(file: string): Promise<VersionedText> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const read = await readOnce(file)
    if (read !== undefined) return read
  }
  throw new StaticFileError(file, ['The file is being written to'])
}

async function readOnce(file: string): Promise<VersionedText | undefined> {
  const version = await fileVersion(file)
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw unreadable(file, cause)
  })
  return (await fileVersion(file)) === version ? { text, version } : undefined
}
