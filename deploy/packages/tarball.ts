/** How does a tree become one archive for hosts without dpkg? */
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Seconds } from '../../lib/runtime/clock.ts'
import { writeTree, type TreeEntry } from './tree-entry.ts'

/**
 * Builds one archive. The same entries give the same bytes.
 * @param name of its only folder
 * @param folder is used for the tree, and is empty afterwards
 */
export function buildTarball(
  entries: readonly TreeEntry[],
  { name, when }: { readonly name: string; readonly when: Seconds },
  folder: string,
  archive: string,
): void {
  const root = join(folder, name)
  rmSync(root, { recursive: true, force: true })
  writeTree(root, entries, when)
  const steady = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  // Without -n gzip would note a time of its own.
  const compressed = ['-I', 'gzip -9n', `--mtime=@${when}`]
  execFileSync('tar', [...steady, ...compressed, '-C', folder, '-cf', archive, name])
  rmSync(root, { recursive: true })
}
