import t from 'tap'
import { shownValue } from '../../../lib/operator/shown-value.ts'

const rows: readonly (readonly [value: unknown, name: string, text: string])[] = [
  ['plain', '', 'plain'],
  ['draws\u001b[2J', '', 'draws\\u001b[2J'],
  [undefined, '', ''],
  [true, '', 'true'],
  [7, '', '7'],
  [0.130_000_01, '', '0.13'],
  [132.096_412, 'age', '132.1 ms'],
  [{ waited: 0, took: 1.4567 }, '', 'waited=0 ms took=1.46 ms'],
  [0, 'uptime', '0 s'],
  [59, 'uptime', '59 s'],
  [3_725, 'uptime', '1 h 2 min'],
  [90_000, 'uptime', '1 d 1 h'],
  [103_751_680, 'rss', '98.9 MiB'],
  [5, 'toString', '5'],
  [[], '', 'none'],
  [['a', 'b'], '', 'a, b'],
  [{ ips: ['a', 'b'], age: 1.239, gone: undefined }, '', 'ips=a,b age=1.24 ms'],
  [[{ a: 1 }, { a: 2 }], '', 'a=1; a=2'],
]

t.test('shownValue() gives what a value of JSON means', async (t) => {
  for (const [value, name, text] of rows) t.equal(shownValue(value, name), text)
  t.equal(shownValue([1, 2, 3], '', 2), '1, 2, … and 1 more, see --json')
})
