import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { projectPaths, projectRoot } from '../support/source-files.ts'

function trackedPaths(): readonly string[] {
  if (!existsSync(join(projectRoot, '.git'))) return projectPaths(['.'])
  const listed = execFileSync('git', ['ls-files', '-z'], { cwd: projectRoot, encoding: 'utf8' })
  return listed.split('\0').filter((path) => path !== '' && existsSync(join(projectRoot, path)))
}

// Spelled with a gap, so that this file does not find itself.
function whole(part: string): string {
  return part.replace(' ', '')
}

const forbidden: readonly (readonly [what: string, pattern: RegExp])[] = [
  [
    'a path of one machine',
    new RegExp(`(?:^|[\\s"'\`(=:])/(?:${whole('wo rk')}|${whole('ro ot')}|home/[a-z]+)/`, 'm'),
  ],
  ['a scratch folder', new RegExp(`/tmp/(?:${whole('la b')}|${whole('te am')})\\b`)],
  // A worker's own folder of that name is reached by imports.
  ['a folder beside the project', new RegExp(`\\.\\./${whole('sha red')}/(?![\\w-]+\\.ts')`)],
  [
    'the host of a package registry',
    new RegExp(
      `https?://[\\w.:@-]*(?:${whole('regis try')}|${whole('artifac tory')}|${whole('nex us')}|${whole('verdac cio')})[\\w.-]*`,
    ),
  ],
  ['a private key', new RegExp(`-----BEGIN (?:[A-Z]+ )?${whole('PRIV ATE')} KEY-----`)],
  ['an access token', /\b(?:ghp|gho|npm|glpat|xox[bp])_[A-Za-z0-9]{20,}/],
]

/** One text for each row, in its order, that must be found. */
const samples = [
  `cd ${whole('/wo rk')}/main`,
  `. ${whole('/tmp/la b')}/env`,
  `see ${whole('../sha red')}/x`,
  `https://${whole('regis try')}.example/x`,
  `-----BEGIN RSA ${whole('PRIV ATE')} KEY-----`,
  `${whole('gh p')}_${'a1'.repeat(12)}`,
]

const paths = trackedPaths()

for (const [what, pattern] of forbidden) {
  t.test(`no tracked file holds ${what}`, async (t) => {
    const found = paths
      .filter((path) => !/\.(?:png|ico|gz|bin)$/.test(path))
      .flatMap((path) => {
        const match = pattern.exec(readFileSync(join(projectRoot, path), 'utf8'))
        return match === null ? [] : [`${path}: ${match[0].trim()}`]
      })
    t.ok(paths.length > 20)
    t.strictSame(found, [])
  })
}

t.test('each row would find what it is for', async (t) => {
  t.equal(samples.length, forbidden.length)
  for (const [index, [what, pattern]] of forbidden.entries()) t.match(samples[index], pattern, what)
})
