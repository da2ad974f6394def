import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { groupIdOf, primaryGroupOf, userIdOf } from '../../../lib/files/accounts.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

t.test('userIdOf() and groupIdOf() read names and take numbers', async (t) => {
  const folder = scratchFolder(t)
  const passwd = join(folder, 'passwd')
  const group = join(folder, 'group')
  writeFileSync(passwd, 'root:x:0:0:root:/root:/bin/sh\nneutron:x:64001:64002::/:/bin/false\n')
  writeFileSync(group, 'root:x:0:\nneutron:x:64002:haproxy\n')
  t.equal(userIdOf('neutron', passwd), 64_001)
  t.equal(groupIdOf('neutron', group), 64_002)
  t.equal(userIdOf('root', passwd), 0)
  t.equal(userIdOf('1234', passwd), 1_234)
  t.equal(userIdOf('haproxy', passwd), undefined)
  t.equal(groupIdOf('', group), undefined)
  t.equal(primaryGroupOf(64_001, passwd), 64_002)
  t.equal(primaryGroupOf(1_234, passwd), undefined)
  t.equal(userIdOf('root', join(folder, 'absent')), undefined)
})
