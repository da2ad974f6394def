import t from 'tap'
import { JsonCursor } from '../../../lib/ovsdb/json-cursor.ts'
import { OvsdbError } from '../../../lib/ovsdb/ovsdb-error.ts'

function rebuilt(cursor: JsonCursor, value: unknown): unknown {
  if (Array.isArray(value)) {
    const items: unknown[] = []
    for (const place of cursor.items()) items.push(rebuilt(cursor, value[place]))
    return items
  }
  if (typeof value === 'object' && value !== null) {
    const members: Record<string, unknown> = {}
    for (const key of cursor.members()) {
      members[key] = rebuilt(cursor, (value as Record<string, unknown>)[key])
    }
    return members
  }
  return cursor.read()
}

const values: readonly unknown[] = [
  {},
  [],
  [[], {}, [[]]],
  { a: 1, 'b"\\': 'c}],:"\\', d: { e: [true, null, -1.5e3] }, 'ü😀': ['x', {}] },
  [
    true,
    'txn',
    { Port_Binding: { u1: { initial: { mac: ['set', ['a', 'b']] } }, u2: { delete: null } } },
  ],
]

t.test('JsonCursor reads a value piece by piece as JSON.parse reads it whole', async (t) => {
  for (const value of values) {
    for (const indent of [0, 2]) {
      const text = JSON.stringify(value, undefined, indent)
      t.strictSame(rebuilt(new JsonCursor(Buffer.from(text)), value), value, text)
      t.strictSame(new JsonCursor(Buffer.from(text)).read(), value)
    }
  }
})

t.test('JsonCursor skips values that are not read', async (t) => {
  const text = JSON.stringify({ a: { x: ['}', 1] }, b: 2, c: '"', d: [[]], e: false })
  const cursor = new JsonCursor(Buffer.from(text))
  const seen: [string, unknown][] = []
  for (const key of cursor.members())
    if (key !== 'a' && key !== 'd') seen.push([key, cursor.read()])
  t.strictSame(seen, [
    ['b', 2],
    ['c', '"'],
    ['e', false],
  ])
})

t.test('JsonCursor refuses broken text instead of going on', async (t) => {
  for (const text of ['{"a" 1}', '{"a":1 "b":2}', '{1:2}', '{"a":"x', '{"a":tru}', '{"a":1', '']) {
    t.throws(
      () => {
        const cursor = new JsonCursor(Buffer.from(text))
        for (const key of cursor.members()) if (key !== '') cursor.read()
      },
      OvsdbError,
      text,
    )
  }
})
