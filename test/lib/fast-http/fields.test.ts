import t from 'tap'
import { fieldBlock, isToken, splitFields } from '../../../lib/fast-http/fields.ts'

t.test('white space around a value is no part of it', async (t) => {
  const block = 'A:\t b c\r\nB:\xa0\r\nC: \r\nD:e\t \r\n'
  t.strictSame(splitFields(block, 'trimmed'), ['A', 'b c', 'B', '\xa0', 'C', '', 'D', 'e'])
  t.equal(splitFields(block, 'refused'), undefined)
  t.strictSame(splitFields('C: \r\n', 'refused'), ['C', ''])
})

t.test('a client writes nothing that would be read as something else', async (t) => {
  t.equal(fieldBlock(['a', 'b', 'c', '']), 'a: b\r\nc: \r\n')
  t.equal(fieldBlock([]), '')
  t.equal(fieldBlock(['a', 'b\r\nc: d']), undefined)
  t.equal(fieldBlock(['a: b\r\nc', 'd']), undefined)
  t.equal(fieldBlock(['a', 'b\nc']), undefined)
  t.equal(fieldBlock(['a b', 'c']), undefined)
  t.equal(fieldBlock(['a', 'b\r\n\r\n']), undefined)
  t.ok(isToken('GET'))
  t.notOk(isToken('GET /'))
  t.notOk(isToken(''))
})
