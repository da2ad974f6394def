import t from 'tap'
import { osloValue, type OsloOption } from '../../../lib/oslo/oslo-option.ts'

const named = { group: 'DEFAULT', name: 'one' } as const

const good: readonly (readonly [OsloOption, string, unknown])[] = [
  [{ ...named, type: 'boolean' }, 'Yes', true],
  [{ ...named, type: 'boolean' }, '0', false],
  [{ ...named, type: 'integer' }, ' 12 ', 12],
  [{ ...named, type: 'integer' }, '', undefined],
  [{ ...named, type: 'float' }, '7.5', 7.5],
  [{ ...named, type: 'list' }, 'a, b,,', ['a', 'b']],
  [{ ...named, type: 'list' }, '', []],
  [{ ...named, type: 'string' }, ' x ', ' x '],
  [{ ...named, type: 'string', choices: ['a'] }, 'a', 'a'],
]

const bad: readonly (readonly [OsloOption, string])[] = [
  [{ ...named, type: 'boolean' }, ''],
  [{ ...named, type: 'integer' }, '1.5'],
  [{ ...named, type: 'integer' }, '0x10'],
  [{ ...named, type: 'integer', min: 1 }, '0'],
  [{ ...named, type: 'integer', max: 65_535 }, '65536'],
  [{ ...named, type: 'float' }, 'a'],
  [{ ...named, type: 'string', choices: ['a'] }, 'A'],
]

t.test("osloValue() reads texts as oslo.config's types do", async (t) => {
  for (const [option, text, value] of good) t.strictSame(osloValue(text, option), value, text)
  for (const [option, text] of bad) t.throws(() => osloValue(text, option), RangeError, text)
})
