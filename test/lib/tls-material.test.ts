import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import {
  isSameTlsMaterial,
  readTlsMaterial,
  secureContextOptions,
  tlsFilesProblem,
} from '../../lib/tls-material.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { TestAuthority } from '../support/test-authority.ts'

t.test('readTlsMaterial() takes files that go together and hides the key', async (t) => {
  const authority = new TestAuthority(scratchFolder(t))
  const files = { ...authority.issue({ commonName: 'one' }), caFile: authority.caFile }

  const material = readTlsMaterial(files, Date.now())

  t.ok(material.expiresAt > Date.now())
  t.notMatch(inspect(material), /PRIVATE KEY/)
  t.notMatch(JSON.stringify(material), /PRIVATE KEY/)
  t.match(material.key.reveal(), /PRIVATE KEY/)
  t.equal(secureContextOptions(material).minVersion, 'TLSv1.2')
  t.equal(isSameTlsMaterial(material, readTlsMaterial(files, Date.now())), true)
  const other = { ...authority.issue({ commonName: 'two' }), caFile: authority.caFile }
  t.equal(isSameTlsMaterial(material, readTlsMaterial(other, Date.now())), false)
})

t.test('readTlsMaterial() names the file that cannot be used', async (t) => {
  const folder = scratchFolder(t)
  const authority = new TestAuthority(folder)
  const { caFile } = authority
  const one = authority.issue({ commonName: 'one' })
  const two = authority.issue({ commonName: 'two' })
  const over = authority.issue({ commonName: 'over', isOver: true })
  const empty = join(folder, 'empty.pem')
  writeFileSync(empty, '')
  const cases = [
    [{ ...one, caFile: join(folder, 'absent.pem') }, /Cannot read ".*absent\.pem"/],
    [{ ...one, caFile: empty }, /empty\.pem" holds no PEM certificate/],
    [{ ...one, certificateFile: empty, caFile }, /empty\.pem" holds no PEM certificate/],
    [{ ...one, keyFile: two.keyFile, caFile }, /cannot be used together/],
    [{ ...over, caFile }, /ended on/],
  ] as const
  for (const [files, message] of cases) {
    t.throws(() => readTlsMaterial(files, Date.now()), { message })
    t.match(tlsFilesProblem(files, Date.now()), message)
  }
  t.equal(tlsFilesProblem({ ...one, caFile }, Date.now()), undefined)
})

t.test('secureContextOptions() never falls back to the authorities of the system', async (t) => {
  const authority = new TestAuthority(scratchFolder(t))
  const files = { ...authority.issue({ commonName: 'one' }), caFile: authority.caFile }
  const material = readTlsMaterial(files, Date.now())

  t.throws(() => secureContextOptions({ ...material, ca: '' }), TypeError)
})
