import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import t from 'tap'
import { productionFolders, projectPaths, projectRoot } from '../support/source-files.ts'

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8')

const documents = [
  ...projectPaths([...productionFolders, 'test']),
  ...readdirSync(projectRoot),
].filter((path) => path.endsWith('.md'))

/** What a heading is called in a link, as usual on the web: small letters, dashes, no signs. */
function anchorsOf(path: string): ReadonlySet<string> {
  const headings = read(path).matchAll(/^#+ +(.+)$/gm)
  return new Set(
    Array.from(headings, ([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** What is wrong with the links of a text that stands at a path. */
function brokenLinks(path: string, text: string): readonly string[] {
  const samples = /^( *)```[^]*?^\1```/gm
  const links = text.replaceAll(samples, '').matchAll(/\]\(([^)\s#]*)(?:#([^)\s]+))?\)/g)
  return Array.from(links, ([link, target = '', anchor]) => {
    if (/^[a-z]+:/.test(target)) return []
    const to = target === '' ? path : posix.join(posix.dirname(path), target)
    if (!existsSync(join(projectRoot, to))) return [`${link}: there is no ${to}`]
    const isThere = anchor === undefined || anchorsOf(to).has(anchor)
    return isThere ? [] : [`${link}: ${to} has no heading #${anchor}`]
  }).flat()
}

t.test('each link of the documents leads somewhere', async (t) => {
  t.ok(documents.includes('README.md') && documents.includes('agent-side/ports/ovn/README.md'))
  for (const path of documents) t.strictSame(brokenLinks(path, read(path)), [], path)
})

/** Paths in backticks: from the root, or from the folder of the page. Capitals stand for a name to be chosen. */
function missingPaths(path: string, text: string): readonly string[] {
  const named = text.matchAll(/`((?:[\w.-]+\/)+[\w.-]*)`/g)
  const isThere = (name: string): boolean =>
    [name, posix.join(posix.dirname(path), name)].some((each) =>
      existsSync(join(projectRoot, each)),
    )
  return Array.from(named, ([, name = '']) => name).filter(
    (name) => /\/./.test(name) && !/[A-Z]{3}/.test(name) && !isThere(name),
  )
}

t.test('each path that the maps of the project name is there', async (t) => {
  for (const path of ['CONTRIBUTING.md', 'test/README.md']) {
    t.strictSame(missingPaths(path, read(path)), [], path)
  }
  t.strictSame(missingPaths('test/README.md', '`lib/gone.ts`, `support/until.ts`, `lib/`'), [
    'lib/gone.ts',
  ])
})

t.test('each source file that the page of a folder names is there', async (t) => {
  const pages = documents.filter((path) => /^(?:lib|proxy|agent-side)\//.test(path))
  t.ok(pages.includes('lib/ovsdb/README.md'))
  const missingFiles = (path: string, text: string): readonly string[] => {
    const below = projectPaths([posix.dirname(path)])
    return Array.from(text.matchAll(/`([\w./-]+\.ts)`/g), ([, name = '']) => name).filter(
      (name) =>
        !existsSync(join(projectRoot, name)) && !below.some((one) => one.endsWith(`/${name}`)),
    )
  }
  for (const path of pages) t.strictSame(missingFiles(path, read(path)), [], path)
  t.strictSame(missingFiles('lib/ovsdb/README.md', '`client.ts`, `gone.ts`'), ['gone.ts'])
})

t.test('a link that leads nowhere would be noticed', async (t) => {
  t.strictSame(brokenLinks('deploy/x.md', 'see [a](none.md) and [b](../README.md#nothing)'), [
    '](none.md): there is no deploy/none.md',
    '](../README.md#nothing): README.md has no heading #nothing',
  ])
  t.strictSame(brokenLinks('deploy/x.md', '[a](../README.md#try-it), [b](https://x.example)'), [])
})

t.test(
  'each page for operators can be reached from deploy/README.md or from one it names',
  async (t) => {
    const reached = new Set<string>()
    const visit = (path: string): void => {
      if (reached.has(path) || !existsSync(join(projectRoot, path))) return
      reached.add(path)
      if (!path.endsWith('.md')) return
      for (const [, target = ''] of read(path).matchAll(/\]\(([^)\s#]+)/g)) {
        if (!/^[a-z]+:/.test(target)) visit(posix.join(posix.dirname(path), target))
      }
    }
    visit('deploy/README.md')
    const pages = projectPaths(['deploy']).filter((path) => /\.(?:md|ya?ml|json)$/.test(path))
    t.strictSame(
      pages.filter((path) => !reached.has(path)),
      [],
    )
  },
)
