/** Do comments, texts and names use the field's words for what machines do? */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  productionFolders,
  projectPaths,
  projectRoot,
  sourceFiles,
} from '../support/source-files.ts'

/** Machines report, log, send, query, receive and trust. A guest is a guest, a process a process: never somebody. */
const wrong =
  /\b(?:say|says|said|saying|tell|tells|telling|told|ask|asks|asked|asking|asker|unasked|hear|hears|heard|hearing|believe|believes|believed|somebody|anybody|everybody)\b/gi
/** The subject of a sentence is a noun of the system: no guest, no worker. In quotes it is the account, or a word of an API. */
const wrongSubject = /(?<!['"`])\bnobody\b(?!['"`])/gi
/** The account of that name. */
const account = /^(?:export const nobody = \{ uid|import \{ nobody,| +(?:\? )?nobody(?::|$))/

/** With the words of a name apart: `requestedAt` is "requested At". */
function wordsOf(line: string): string {
  return line.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2').replaceAll('_', ' ')
}

function wrongWords(line: string): readonly string[] {
  const subjects = account.test(line) ? [] : (line.match(wrongSubject) ?? [])
  return [...(wordsOf(line).match(wrong) ?? []), ...subjects]
}

t.test('the words of people are found', async (t) => {
  t.strictSame(wrongWords('Asks somebody // told'), ['Asks', 'somebody', 'told'])
  t.strictSame(wrongWords('it says so'), ['says'])
  t.strictSame(wrongWords('const { askedAt } = await this.#askAdmin(TOLD_SO)'), [
    'asked',
    'ask',
    'TOLD',
  ])
  t.strictSame(wrongWords('task, foretell, heartbeat, askew, isMasked'), [])
  t.strictSame(wrongWords('Nobody waits, as nobody'), ['Nobody', 'nobody'])
  t.strictSame(wrongWords("run as 'nobody', or as `nobody`"), [])
})

t.test('machines have the verbs of the field', async (t) => {
  const pages = readdirSync(projectRoot).filter((name) => name.endsWith('.md'))
  const paths = [...projectPaths(productionFolders), ...pages]
  const found = paths.flatMap((path) =>
    readFileSync(join(projectRoot, path), 'utf8')
      .split('\n')
      .flatMap((line, index) => wrongWords(line).map((word) => `${path}:${index + 1} ${word}`)),
  )
  t.strictSame(found, [])
})

/** The name of a test, with its quotes. */
const testName = /\.test\(\s*(["`'])((?:(?!\1)[^\\]|\\.)*)\1/g

t.test('the names of tests keep to the same words', async (t) => {
  const found = sourceFiles(['test']).flatMap(({ path, text }) =>
    [...text.matchAll(testName)]
      .map(([, , name = '']) => name.replaceAll(/\$\{[^}]*\}/g, ''))
      .filter((name) => wrongWords(name.replaceAll('account nobody', '')).length > 0)
      .map((name) => `${path}: ${name}`),
  )
  t.strictSame(found, [])
})
