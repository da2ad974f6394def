import { readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { causeText } from '../runtime/errors.ts'
import type { Bytes } from '../runtime/clock.ts'
import { parseOsloIni, type OsloFile } from './oslo-ini.ts'

/** A file that was named and cannot be read. */
export class OsloFileError extends Error {
  override readonly name = 'OsloFileError'
}

/** What the command line named, in its order: each later one wins. */
export type OsloSource =
  | { readonly kind: 'file'; readonly path: string }
  /** All `*.conf` in it, in the order of their names. */
  | { readonly kind: 'directory'; readonly path: string }

const largestFile: Bytes = 4 * 1024 * 1024

function absolute(path: string): string {
  return resolve(path.replace(/^~(?=\/|$)/, homedir()))
}

function filesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.conf') && !name.startsWith('.'))
      .sort()
      .map((name) => join(directory, name))
  } catch (cause) {
    throw new OsloFileError(`Cannot read "${directory}": ${causeText(cause)}`, { cause })
  }
}

function readText(path: string): string {
  try {
    const bytes = readFileSync(path)
    if (bytes.length > largestFile) throw new RangeError(`it has more than ${largestFile} bytes`)
    // The byte order mark stays: Python's reader sees it too, as part of the first line.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new OsloFileError(`Cannot read "${path}": ${causeText(cause)}`, { cause })
  }
}

/**
 * Reads what `--config-file` and `--config-dir` name.
 * @throws {OsloFileError} or `OsloParseError`
 */
export function readOsloFiles(sources: readonly OsloSource[]): readonly OsloFile[] {
  return sources
    .flatMap(({ kind, path }) => (kind === 'file' ? [absolute(path)] : filesIn(absolute(path))))
    .map((path) => parseOsloIni(readText(path), path))
}
