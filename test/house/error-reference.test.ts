import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import t from 'tap'
import { reasonsPage } from '../../lib/operator/reasons-command.ts'
import { projectRoot } from '../support/source-files.ts'

const path = join(projectRoot, 'deploy/ERRORS.md')

t.test('the error reference is what the table of reason codes holds', async (t) => {
  const options = await resolveConfig(path)
  const expected = await format(reasonsPage(), { ...options, parser: 'markdown' })
  const update = process.env['OVERLAPD_TEST_UPDATE'] === '1'
  if (update) writeFileSync(path, expected)
  t.equal(
    readFileSync(path, 'utf8'),
    expected,
    'run this test with OVERLAPD_TEST_UPDATE=1 to write it anew',
  )
})
