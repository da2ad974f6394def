import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Teardowns } from './teardowns.ts'

/** A new empty folder with a short path, fit for UNIX sockets, removed when the test ends. */
export function scratchFolder(t: Teardowns): string {
  const folder = mkdtempSync(join(tmpdir(), 'ovt-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
