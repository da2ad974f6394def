import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { ConfigError } from '../../../lib/config/config-error.ts'
import { loadConfig } from '../../../lib/config/load.ts'
import { configReport, configReportData } from '../../../lib/config/report.ts'
import { secretFile } from '../../../lib/config/secret-file.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const table = { password: secretFile({ help: 'The password.' }) }

interface Given {
  readonly yaml?: string
  readonly environment?: Record<string, string>
  readonly set?: readonly string[]
}

function load(dir: string, given: Given) {
  writeFileSync(`${dir}/x.yaml`, given.yaml ?? '')
  return loadConfig(table, {
    file: `${dir}/x.yaml`,
    environment: given.environment ?? {},
    environmentPrefix: 'P',
    set: given.set,
  })
}

function complaint(dir: string, given: Given): string {
  try {
    load(dir, given)
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.message
    throw thrown
  }
  return ''
}

function folder(t: Test, mode = 0o600): string {
  const dir = scratchFolder(t)
  mkdirSync(`${dir}/folder`)
  writeFileSync(`${dir}/secret`, 'hunter2\n')
  writeFileSync(`${dir}/empty`, '\n')
  chmodSync(`${dir}/secret`, mode)
  chmodSync(`${dir}/empty`, 0o600)
  return dir
}

t.test('secretFile() reads the file without its last line end', async (t) => {
  const dir = folder(t)
  t.equal(load(dir, { yaml: 'password_file: secret' }).config.password?.reveal(), 'hunter2')
  t.equal(load(dir, { set: [`password_file=${dir}/secret`] }).config.password?.reveal(), 'hunter2')
  const environment = { P_PASSWORD_FILE: `${dir}/secret` }
  t.equal(load(dir, { environment }).config.password?.reveal(), 'hunter2')
  writeFileSync(`${dir}/secret`, ' two\nlines \r\n')
  t.equal(load(dir, { environment }).config.password?.reveal(), ' two\nlines ')
})

t.test('secretFile() takes the secret itself from the environment alone', async (t) => {
  const dir = folder(t)
  const environment = { P_PASSWORD: 'direct' }
  t.equal(load(dir, { environment }).config.password?.reveal(), 'direct')
  t.equal(
    load(dir, { yaml: 'password_file: secret', environment }).config.password?.reveal(),
    'direct',
  )
  t.equal(load(dir, { environment: { P_PASSWORD: '' } }).config.password, undefined)
  t.equal(load(dir, {}).config.password, undefined)
})

t.test(
  'secretFile() refuses secrets in files and on command lines, and does not repeat them',
  async (t) => {
    const dir = folder(t)
    for (const given of [{ yaml: 'password: hunter2' }, { set: ['password=hunter2'] }]) {
      const message = complaint(dir, given)
      t.match(message, 'password: a secret is not written here; name its file in password_file')
      t.notMatch(message, 'hunter2')
    }
  },
)

t.test('secretFile() complains about files that hold no secret', async (t) => {
  const dir = folder(t)
  t.match(complaint(dir, { yaml: 'password_file: none' }), /cannot read the secret: ENOENT/)
  t.match(complaint(dir, { yaml: 'password_file: folder' }), /is not a file of at most/)
  t.match(complaint(dir, { yaml: 'password_file: empty' }), /is empty/)
  t.match(complaint(dir, { yaml: 'password_file: [a]' }), /a list is not a path/)
})

t.test('secretFile() warns when others may open the file', async (t) => {
  t.strictSame(load(folder(t), { yaml: 'password_file: secret' }).warnings, [])
  const dir = folder(t, 0o640)
  t.match(load(dir, { yaml: 'password_file: secret' }).warnings, [
    /^password: "\/.*secret" can be opened by others than its owner \(mode 0640\)/,
  ])
})

t.test('a secret is in no report of the configuration', async (t) => {
  const loaded = load(folder(t), { yaml: 'password_file: secret' })
  for (const text of [
    configReport(loaded),
    JSON.stringify(configReportData(loaded)),
    JSON.stringify(loaded),
    inspect(loaded, { depth: 9, showHidden: true }),
  ]) {
    t.match(text, '[redacted]')
    t.notMatch(text, 'hunter2')
  }
})
