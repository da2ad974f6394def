import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { resolveAccount } from '../../../proxy/privileges/accounts.ts'

const folder = t.testdir()
const files = { passwd: join(folder, 'passwd'), group: join(folder, 'group') }
writeFileSync(files.passwd, 'root:x:0:0::/:/bin/sh\nnova:x:162:163::/:/bin/false\n')
writeFileSync(files.group, 'root:x:0:\nneutron:x:164:\n')

t.test('resolveAccount() takes names and numbers', async (t) => {
  t.same(resolveAccount('nova', undefined, files), { userId: 162, groupId: 163 })
  t.same(resolveAccount('162', undefined, files), { userId: 162, groupId: 163 })
  t.same(resolveAccount('nova', 'neutron', files), { userId: 162, groupId: 164 })
  t.same(resolveAccount('999', undefined, files), { userId: 999, groupId: 999 })
  t.same(resolveAccount('nova', '5', files), { userId: 162, groupId: 5 })
})

t.test('resolveAccount() takes the account of the package where no account is named', async (t) => {
  const passwd = join(folder, 'packaged')
  writeFileSync(
    passwd,
    'nobody:x:65534:65534::/:/bin/false\noverlapd-proxy:x:991:990::/:/bin/false\n',
  )
  t.same(resolveAccount(undefined, undefined, { ...files, passwd }), { userId: 991, groupId: 990 })
  t.same(resolveAccount('nobody', undefined, { ...files, passwd }), {
    userId: 65534,
    groupId: 65534,
  })
  t.same(resolveAccount(undefined, undefined, files), { userId: 65534, groupId: 65534 })
})

t.test('resolveAccount() knows the account nobody even without files', async (t) => {
  const none = { passwd: join(folder, 'none'), group: join(folder, 'none') }
  t.same(resolveAccount('nobody', undefined, none), { userId: 65534, groupId: 65534 })
})

t.test('resolveAccount() refuses names that are not known', async (t) => {
  t.throws(() => resolveAccount('noone', undefined, files), { message: /user "noone"/ })
  t.throws(() => resolveAccount('nova', 'nogroup', files), { message: /group "nogroup"/ })
})
