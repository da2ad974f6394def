import t from 'tap'
import { pathText } from '../../../lib/config/entry.ts'
import { integer } from '../../../lib/config/option.ts'
import { secretFile } from '../../../lib/config/secret-file.ts'
import { list, section } from '../../../lib/config/structure.ts'
import { environmentName, tableNames } from '../../../lib/config/table-names.ts'

t.test('tableNames() lists every name that a variable or flag may use', async (t) => {
  const number = integer({ help: 'N.', default: 1 })
  const table = {
    a: section({ b: number, key: secretFile({ help: 'K.' }) }),
    c: list(section({ inside: number }), { help: 'L.', default: [] }),
  }
  t.strictSame(
    tableNames(table).map((name) => pathText(name.keys)),
    ['a', 'a.b', 'a.key', 'a.key_file', 'c'],
  )
})

t.test('environmentName() and pathText() spell a place', async (t) => {
  t.equal(environmentName('OVERLAPD_PROXY', ['agent', 'socket']), 'OVERLAPD_PROXY_AGENT_SOCKET')
  t.equal(pathText(['directories', 0, 'kind']), 'directories[0].kind')
  t.equal(pathText([]), '')
})
