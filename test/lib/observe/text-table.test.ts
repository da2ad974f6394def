import t from 'tap'
import { terminalText, textTable } from '../../../lib/observe/text-table.ts'

t.test('textTable() lines up columns and leaves no blanks at the end', async (t) => {
  t.equal(
    textTable([
      ['a', 'bb', 'c'],
      ['aaa', '', ''],
      ['a', 'b'],
    ]),
    'a    bb  c\naaa\na    b\n',
  )
  t.equal(textTable([]), '')
})

t.test('terminalText() shows control characters instead of obeying them', async (t) => {
  t.equal(terminalText('a\u001b[2Jb\r\nc\u0000\u009b'), 'a\\u001b[2Jb\\u000d\\u000ac\\u0000\\u009b')
  t.equal(terminalText('a\u202eb\u2028c'), 'a\\u202eb\\u2028c')
  t.equal(terminalText('Zürich → 東京'), 'Zürich → 東京')
})
