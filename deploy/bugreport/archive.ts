/** How do the parts of a report become one file? */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One file of a report. */
export interface ReportPart {
  /** `agent/status.json` */
  readonly name: string
  readonly text: string
}

/**
 * Writes a `.tar.gz` that its owner alone can read. The program tar makes it, which every Linux has.
 * @param file must not exist yet
 * @throws Error when it exists, or cannot be written
 */
export function writeArchive(file: string, folder: string, parts: readonly ReportPart[]): void {
  const work = mkdtempSync(join(tmpdir(), 'overlapd-report-'))
  try {
    for (const { name, text } of parts) {
      const path = join(work, folder, name)
      mkdirSync(join(path, '..'), { recursive: true })
      writeFileSync(path, text)
    }
    // Made here, so that no other user can have made it first or can read it meanwhile.
    const output = openSync(file, 'wx', 0o600)
    try {
      const options = ['--create', '--gzip', '--owner=0', '--group=0', '--directory', work, folder]
      const { status, stderr, error } = spawnSync('tar', options, {
        stdio: ['ignore', output, 'pipe'],
        encoding: 'utf8',
      })
      if (error !== undefined) throw error
      if (status !== 0) throw new Error(`tar failed: ${stderr.trim()}`)
    } finally {
      closeSync(output)
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
