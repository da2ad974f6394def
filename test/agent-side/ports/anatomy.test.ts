import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { directoryKinds } from '../../../agent-side/ports/registry.ts'
import { projectRoot } from '../../support/source-files.ts'

/** First what an operator does, then what holds. */
const headings = [
  'What you need',
  'Six lines',
  'How to see that it works',
  'What goes wrong',
  'Options',
  'Metrics',
  'Limits',
  'When the source is away',
  'How fresh',
  'What it queries',
]

for (const kind of directoryKinds) {
  t.test(`${kind} has the files and the headings of every port directory`, async (t) => {
    const read = (file: string): string =>
      readFileSync(join(projectRoot, 'agent-side/ports', kind, file), 'utf8')
    for (const file of ['config.ts', 'metrics.ts', 'directory.ts']) t.match(read(file), /^export /m)
    const found = Array.from(read('README.md').matchAll(/^## (.+)$/gm), ([, heading]) => heading)
    t.strictSame(found, headings)
  })

  t.test(`${kind} documents each of its own metrics`, async (t) => {
    const read = (file: string): string =>
      readFileSync(join(projectRoot, 'agent-side/ports', kind, file), 'utf8')
    const own = Array.from(
      read('metrics.ts').matchAll(/name: `\$\{prefix\}_(\w+)`/g),
      ([, name]) => name,
    )
    for (const name of own) t.match(read('README.md'), `overlapd_directory_${name}`)
  })
}
