/** Do comments, texts and names use the field's words for what machines do? */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { productionFolders, projectPaths, projectRoot } from '../support/source-files.ts'

/** Machines report, log, send, query, receive and trust. A guest is a guest, a process a process: never somebody. */
const wrong =
  /\b(?:say|says|said|saying|tell|tells|telling|told|ask|asks|asked|asking|asker|hear|hears|heard|hearing|believe|believes|believed|somebody|anybody)\b/gi
/** The subject of a sentence is a noun of the system: no guest, no worker, every port. */
const wrongSubject = /\b(?:Nobody|Everybody)\b/g

t.test('the words of people are found', async (t) => {
  t.strictSame('Asks somebody // told'.match(wrong), ['Asks', 'somebody', 'told'])
  t.strictSame('it says so'.match(wrong), ['says'])
  t.equal('task, foretell, heartbeat, askew'.match(wrong), null)
  t.strictSame('Nobody waits, as nobody'.match(wrongSubject), ['Nobody'])
})

t.test('machines do not say, tell, ask, hear or believe', async (t) => {
  const pages = readdirSync(projectRoot).filter((name) => name.endsWith('.md'))
  const paths = [...projectPaths(productionFolders), ...pages]
  const found = paths.flatMap((path) =>
    readFileSync(join(projectRoot, path), 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        [...(line.match(wrong) ?? []), ...(line.match(wrongSubject) ?? [])].map(
          (word) => `${path}:${index + 1} ${word}`,
        ),
      ),
  )
  t.strictSame(found, [])
})
