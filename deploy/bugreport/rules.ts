/** Which rules does the kernel have where guests are served? */
import { spawnSync } from 'node:child_process'
import { isAbsolute, join } from 'node:path'
import type { Count } from '../../lib/runtime/clock.ts'

/** A host with thousands of routers has the same rules in each. */
const mostNamespaces: Count = 25

/** The rules of some namespaces as the program nft lists them, or why it does not. @param folder where they are named */
export function listRules(folder: string, namespaces: readonly string[]): string {
  const shown = namespaces.slice(0, mostNamespaces).map((netns) => {
    const path = isAbsolute(netns) ? netns : join(folder, netns)
    const { stdout, stderr, error } = spawnSync(
      'nsenter',
      [`--net=${path}`, 'nft', 'list', 'ruleset'],
      { encoding: 'utf8', timeout: 10_000 },
    )
    return `# ${netns}\n${error === undefined ? stdout + stderr : error.message}\n`
  })
  const left = namespaces.length - shown.length
  return `${shown.join('\n')}${left > 0 ? `# and ${left} namespaces more\n` : ''}`
}
