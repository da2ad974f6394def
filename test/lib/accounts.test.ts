import { writeFileSync } from 'node:fs'
import t from 'tap'
import { groupIdOf, userIdOf } from '../../lib/accounts.ts'
import { scratchFolder } from '../support/scratch-folder.ts'

t.test('userIdOf() and groupIdOf() read names and take numbers as they are', async (t) => {
  const file = `${scratchFolder(t)}/names`
  writeFileSync(
    file,
    'root:x:0:0:root:/:/bin/sh\nneutron:x:64535:64535::/:/bin/false\nbroken\nodd:x:y:0\n',
  )
  for (const idOf of [userIdOf, groupIdOf]) {
    t.equal(idOf('root', file), 0)
    t.equal(idOf('neutron', file), 64_535)
    t.equal(idOf('1234', file), 1234)
    for (const name of ['nobody-here', 'broken', 'odd', '', 'neutron:x', '-1']) {
      t.equal(idOf(name, file), undefined, name)
    }
  }
  t.equal(userIdOf('root'), 0)
  t.equal(groupIdOf('root'), 0)
})
