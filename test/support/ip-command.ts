/** How do tests run `ip`? */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'

/** A name that no other test and no other run has: `ovt-3f9c…`. */
export function uniqueName(prefix = 'ovt-'): string {
  return `${prefix}${randomBytes(5).toString('hex')}`
}

/** Runs `ip` commands, one a line without the word `ip`, inside a namespace or in the host's. */
export function ipBatch(lines: readonly string[], netns?: string): void {
  if (lines.length === 0) return
  const arguments_ = [...(netns === undefined ? [] : ['-n', netns]), '-batch', '-']
  execFileSync('ip', arguments_, {
    input: `${lines.join('\n')}\n`,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

/** Deletes a namespace's name; one that is gone already is no error. */
export function deleteNetns(netns: string): void {
  try {
    execFileSync('ip', ['netns', 'delete', netns], { stdio: 'ignore' })
  } catch {
    // Another teardown or the test itself was first.
  }
}
