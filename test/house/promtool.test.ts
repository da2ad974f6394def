import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { exportedTexts } from '../support/exported-metrics.ts'
import { projectRoot } from '../support/source-files.ts'

function promtool(args: readonly string[], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  if (error !== undefined) throw error
  return status === 0 ? '' : `${stdout}${stderr}`
}

const isThere = spawnSync('promtool', ['--version']).error === undefined
const isRequired = process.env['OVERLAPD_TEST_REQUIRE_PRIVILEGE'] === '1'
const options = {
  skip: isThere || isRequired ? false : 'promtool is not installed (Debian: prometheus)',
}

t.test('promtool accepts the alerts and the recording rules', options, async (t) => {
  for (const name of ['alerts', 'recording-rules']) {
    const path = join(projectRoot, 'deploy/prometheus', `${name}.yaml`)
    t.equal(promtool(['check', 'rules', path]), '', name)
  }
})

t.test('promtool accepts every metric of both daemons', options, async (t) => {
  const texts = await exportedTexts()
  t.ok(texts.length > 5)
  for (const text of texts) t.equal(promtool(['check', 'metrics'], text), '')
})

t.test('promtool would reject a wrong name', options, async (t) => {
  const text = '# HELP overlapd_things Things.\n# TYPE overlapd_things counter\noverlapd_things 1\n'
  t.match(promtool(['check', 'metrics'], text), /_total/)
})
