import t from 'tap'
import { JsonLines } from '../../../lib/wire/json-lines.ts'

t.test('JsonLines gives the same values however the stream is cut', async (t) => {
  const text = '{"a":"ä"}\n[1]\n"x"\n'
  const bytes = Buffer.from(text)
  for (let size = 1; size <= bytes.length; size += 1) {
    const lines = new JsonLines(100)
    const values: unknown[] = []
    for (let at = 0; at < bytes.length; at += size) {
      values.push(...lines.take(bytes.subarray(at, at + size)))
    }
    t.strictSame(values, [{ a: 'ä' }, [1], 'x'])
  }
})

t.test('JsonLines holds no more of a line than its limit', async (t) => {
  t.strictSame(new JsonLines(3).take(Buffer.from('123\n')), [123])
  t.throws(() => new JsonLines(3).take(Buffer.from('1234\n')), RangeError)
  const lines = new JsonLines(3)
  lines.take(Buffer.from('12'))
  t.throws(() => lines.take(Buffer.from('34')), RangeError)
})

t.test('JsonLines reports that a line is no JSON', async (t) => {
  t.throws(() => new JsonLines(10).take(Buffer.from('nonsense\n')), SyntaxError)
  t.throws(() => new JsonLines(10).take(Buffer.from('\n')), SyntaxError)
})
