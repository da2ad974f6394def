import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const binary = fileURLToPath(new URL('../../../deploy/overlapd/overlapd.ts', import.meta.url))

function run(...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, '--no-warnings', binary, ...argv],
    { encoding: 'utf8' },
  )
  return { status, stdout, stderr }
}

t.test('overlapd writes what was requested to standard output and ends with 0', async (t) => {
  t.match(run('reasons', 'no_port'), { status: 0, stdout: /^no_port\n/, stderr: '' })
})

t.test('overlapd writes what is wrong to standard error and ends with 2', async (t) => {
  t.match(run('dokter'), { status: 2, stdout: '', stderr: /^overlapd: unknown command 'dokter'/ })
})
