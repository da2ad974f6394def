/** What lies in a package? One entry for each file, so that a package can be judged without being built. */
import {
  chmodSync,
  copyFileSync,
  lutimesSync,
  mkdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Seconds } from '../../lib/runtime/clock.ts'

/** A file, or a symbolic link, of a package. */
export type TreeEntry = {
  /** From the root of the host it is installed on, without the first slash: `usr/bin/overlapd`. */
  readonly path: string
} & (
  | { readonly text: string | Buffer; readonly mode: 0o644 | 0o755 }
  | { readonly copyOf: string; readonly mode: 0o644 | 0o755 }
  | { readonly linkTo: string }
)

/** Every folder above some paths, the outermost first. */
function foldersAbove(paths: readonly string[]): readonly string[] {
  const folders = new Set<string>()
  for (const path of paths) {
    for (let above = dirname(path); above !== '.'; above = dirname(above)) folders.add(above)
  }
  return [...folders].toSorted()
}

/**
 * Writes a tree that depends on its entries alone: neither the umask nor the time of the build is left in it.
 * @param when the time of every file, in seconds since 1970
 */
export function writeTree(root: string, entries: readonly TreeEntry[], when: Seconds): void {
  const folders = foldersAbove(entries.map(({ path }) => path))
  mkdirSync(root, { recursive: true })
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true })
  for (const entry of entries) {
    const to = join(root, entry.path)
    if ('linkTo' in entry) {
      symlinkSync(entry.linkTo, to)
      lutimesSync(to, when, when)
      continue
    }
    if ('copyOf' in entry) copyFileSync(entry.copyOf, to)
    else writeFileSync(to, entry.text)
    chmodSync(to, entry.mode)
    utimesSync(to, when, when)
  }
  for (const folder of [root, ...folders.toReversed().map((folder) => join(root, folder))]) {
    chmodSync(folder, 0o755)
    utimesSync(folder, when, when)
  }
}
