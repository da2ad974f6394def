import t from 'tap'
import { OsloParseError, parseOsloIni, sectionName, stripped } from '../../../lib/oslo/oslo-ini.ts'

function values(text: string): unknown {
  const { sections } = parseOsloIni(text, 'a.ini')
  return Object.fromEntries(
    [...sections].map(([section, names]) => [
      section,
      Object.fromEntries([...names].map(([name, all]) => [name, all.map(({ value }) => value)])),
    ]),
  )
}

t.test('parseOsloIni() joins indented lines and ends a value at an empty one', async (t) => {
  t.strictSame(values('[DEFAULT]\na = 1\n  2\n\t3\n\nb: x\n[Ovn]\nc="q"\n[OVN]\nc=2\n'), {
    DEFAULT: { a: ['1\n2\n3'], b: ['x'] },
    ovn: { c: ['q', '2'] },
  })
})

t.test('parseOsloIni() reports where it cannot go on', async (t) => {
  const cases = [
    ['[DEFAULT]\nnonsense', 2],
    ['a = 1', 1],
    ['[DEFAULT\n', 1],
    ['[]\n', 1],
    ['[DEFAULT]\n= 1', 2],
    ['[DEFAULT]\n\n  continued', 3],
    ['[DEFAULT]\na = 1\n# comment\n  continued', 4],
  ] as const
  for (const [text, line] of cases) {
    t.throws(() => parseOsloIni(text, 'a.ini'), OsloParseError, text)
    t.throws(() => parseOsloIni(text, 'a.ini'), { line, message: new RegExp(`^a\\.ini:${line}: `) })
  }
})

t.test('sectionName() keeps DEFAULT and lowers all others', async (t) => {
  t.equal(sectionName('DEFAULT'), 'DEFAULT')
  t.equal(sectionName('Default'), 'default')
  t.equal(sectionName('OVN'), 'ovn')
})

t.test("stripped() removes what Python's strip() removes", async (t) => {
  t.equal(stripped('\t\x1f\u00a0 a b \u2003\x85'), 'a b')
  t.equal(stripped('\ufeffa'), '\ufeffa')
})
