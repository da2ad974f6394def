/** Which documents come with a package? All pages for operators, and what they link to. */
import { existsSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import type { TreeEntry } from './tree-entry.ts'

/** Where they lie, each at its path in the project, so that links between them hold. */
export const documentFolder = 'usr/share/doc/overlapd'

const beginnings = [
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'SECURITY.md',
  'deploy/README.md',
  'deploy/systemd/ovn-provision.conf',
  'proxy/haproxy-shim/README.md',
]
const forOperators = /^(?:deploy|agent-side|proxy)\/.+\.(?:md|ya?ml|json|conf)$/

const links = /\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)/g
const isForeign = (target: string): boolean => target === '' || /^[a-z]+:/.test(target)

/** The paths of all documents of a package, from the project's folder, sorted. */
export function documentPaths(root: string): readonly string[] {
  const found = new Set<string>()
  const visit = (path: string): void => {
    if (found.has(path) || !existsSync(join(root, path))) return
    found.add(path)
    if (!path.endsWith('.md')) return
    for (const [, , target = ''] of readFileSync(join(root, path), 'utf8').matchAll(links)) {
      const to = posix.join(posix.dirname(path), target)
      if (!isForeign(target) && (forOperators.test(to) || beginnings.includes(to))) visit(to)
    }
  }
  for (const path of beginnings) visit(path)
  return [...found].toSorted()
}

/** A page whose links to what does not come along, such as the tests, are plain text. */
export function withoutDeadLinks(path: string, text: string, shipped: ReadonlySet<string>): string {
  return text.replaceAll(links, (link, shown: string, target: string) => {
    const to = posix.join(posix.dirname(path), target)
    return isForeign(target) || shipped.has(to) ? link : shown
  })
}

/** @param root the project's folder */
export function documentFiles(root: string): readonly TreeEntry[] {
  const paths = documentPaths(root)
  const shipped = new Set(paths)
  return paths.map((path) => {
    const text = readFileSync(join(root, path), 'utf8')
    return {
      path: `${documentFolder}/${path}`,
      text: path.endsWith('.md') ? withoutDeadLinks(path, text, shipped) : text,
      mode: 0o644,
    }
  })
}
