import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import t from 'tap'
import { Secret } from '../../../lib/runtime/secret.ts'
import {
  clientTlsProblem,
  isSameTlsMaterial,
  readClientTls,
  readTlsMaterial,
  secureContextOptions,
  tlsFilesProblem,
} from '../../../lib/files/tls-material.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'
import { TestAuthority, withoutOpenssl } from '../../support/test-authority.ts'

const skip = withoutOpenssl()

t.test('readTlsMaterial() takes files that fit, and names those that do not', { skip }, (t) => {
  const folder = scratchFolder(t)
  const authority = new TestAuthority(folder)
  const own = authority.issue({ commonName: 'a' })
  const other = authority.issue({ commonName: 'b' })
  const over = authority.issue({ commonName: 'c', isOver: true })
  const files = { ...own, caFile: authority.caFile }
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const good = readTlsMaterial(files, Date.now())
  t.ok(good.expiresAt > Date.now())
  t.notMatch(JSON.stringify(good), /PRIVATE/)
  createSecureContext(secureContextOptions(good))
  t.ok(readTlsMaterial({ ...files, crlFile: authority.crl(2) }, Date.now()).crl)
  // A certificate without a subject has its names elsewhere.
  const bare = authority.issue({ dnsNames: ['d'] })
  t.ok(readTlsMaterial({ ...files, ...bare }, Date.now()))

  const block = readFileSync(authority.caFile, 'utf8')
  const bad = {
    'Cannot read': { ...files, keyFile: join(folder, 'none') },
    'holds no PEM certificate': { ...files, caFile: file('empty', '') },
    'holds a broken certificate': {
      ...files,
      caFile: file(
        'broken',
        `${block}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
      ),
    },
    'cannot be used together': { ...files, keyFile: other.keyFile },
    'ended on': { ...files, ...over },
    'is longer than': { ...files, caFile: file('long', ' '.repeat(2 ** 20 + 1)) },
  }
  for (const [what, wrong] of Object.entries(bad)) {
    t.throws(() => readTlsMaterial(wrong, Date.now()), { message: new RegExp(what) })
    t.match(tlsFilesProblem(wrong, Date.now()), what)
  }
  t.equal(tlsFilesProblem(files, Date.now()), undefined)
  t.notOk(isSameTlsMaterial(good, readTlsMaterial({ ...files, ...other }, Date.now())))
  t.ok(isSameTlsMaterial(good, readTlsMaterial(files, Date.now())))
  t.end()
})

t.test('readClientTls() takes what is given, and no empty list of authorities', { skip }, (t) => {
  const folder = scratchFolder(t)
  const authority = new TestAuthority(folder)
  const { certificateFile, keyFile } = authority.issue({ commonName: 'a' })
  const { caFile } = authority
  const other = authority.issue({ commonName: 'b' })
  const empty = join(folder, 'empty')
  writeFileSync(empty, 'no certificate in here\n')

  t.strictSame(readClientTls({}), {})
  t.match(readClientTls({ caFile }), { ca: /BEGIN CERTIFICATE/ })
  t.strictSame(readClientTls({ keyFile }), {}, 'one half is nothing')
  const all = readClientTls({ caFile, certificateFile, keyFile })
  t.strictSame(Object.keys(all), ['ca', 'certificate', 'key'])
  t.notMatch(JSON.stringify(all), /PRIVATE/)
  t.equal(clientTlsProblem({ caFile, certificateFile, keyFile }), undefined)

  const bad = {
    'Cannot read': { caFile: join(folder, 'none') },
    'holds no PEM certificate': { caFile: empty },
    'cannot be used together': { certificateFile, keyFile: other.keyFile },
  }
  for (const [what, wrong] of Object.entries(bad)) {
    t.throws(() => readClientTls(wrong), { message: new RegExp(what) })
    t.match(clientTlsProblem(wrong), what)
  }
  t.end()
})

t.test('secureContextOptions() never means the authorities of the system', async (t) => {
  const material = { certificate: '', key: new Secret(''), ca: '' }
  t.throws(() => secureContextOptions(material), TypeError)
  t.match(secureContextOptions({ ...material, ca: 'x' }), { minVersion: 'TLSv1.2', ca: 'x' })
})
