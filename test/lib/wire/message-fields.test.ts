import t from 'tap'
import {
  allRead,
  readAmount,
  readCount,
  readFields,
  readList,
  readText,
  readWord,
} from '../../../lib/wire/message-fields.ts'

t.test('readFields() takes objects with names and nothing else', async (t) => {
  t.strictSame(readFields({ a: 1 }), { a: 1 })
  for (const value of [null, [], 'text', 1, undefined]) t.equal(readFields(value), undefined)
})

t.test('readCount() and readAmount() take numbers within their limits', async (t) => {
  t.equal(readCount(3, 3), 3)
  for (const value of [4, -1, 1.5, NaN, Infinity, '3', null])
    t.equal(readCount(value, 3), undefined)
  t.equal(readAmount(1.5, 3), 1.5)
  for (const value of [3.1, -0.1, NaN, '1']) t.equal(readAmount(value, 3), undefined)
})

t.test('readText() bounds the text and takes the terminal its commands', async (t) => {
  t.equal(readText('plain', 5), 'plain')
  t.equal(readText('longer', 5), undefined)
  t.notMatch(readText('\u001b[2J', 10), '\u001b')
})

t.test('readWord() knows a closed set', async (t) => {
  t.equal(readWord('up', ['up', 'down']), 'up')
  t.equal(readWord('UP', ['up', 'down']), undefined)
})

t.test('readList() reads every item, or none', async (t) => {
  const read = (value: unknown): number | undefined => readCount(value, 9)
  t.strictSame(readList([1, 2], 2, read), [1, 2])
  t.equal(readList([1, 'x'], 2, read), undefined)
  t.equal(readList([1, 2, 3], 2, read), undefined)
  t.equal(readList({ length: 1, 0: 1 }, 2, read), undefined)
})

t.test('allRead() wants every field', async (t) => {
  t.strictSame(allRead({ a: 1, b: 'x' }), { a: 1, b: 'x' })
  t.equal(allRead({ a: 1, b: undefined }), undefined)
})
