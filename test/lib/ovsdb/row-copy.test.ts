import t from 'tap'
import { RowCopy } from '../../../lib/ovsdb/row-copy.ts'
import type { RowChange } from '../../../lib/ovsdb/table-updates.ts'

const schema = {
  Port: {
    tag: 'number',
    name: 'text',
    macs: 'texts',
    chassis: 'reference',
    others: 'references',
    ids: 'map',
  },
} as const

function put(uuid: string, row: Record<string, unknown>): RowChange {
  return { kind: 'put', table: 'Port', uuid, row }
}

function modify(uuid: string, row: Record<string, unknown>): RowChange {
  return { kind: 'modify', table: 'Port', uuid, row }
}

function copyOf(changes: readonly RowChange[]): RowCopy<typeof schema> {
  const copy = new RowCopy(schema, () => undefined)
  const builder = copy.startCopy()
  for (const change of changes) builder.add(change)
  builder.finish()
  return copy
}

const full = {
  tag: 7,
  name: 'one',
  macs: ['set', ['a', 'b']],
  chassis: ['uuid', 'c1'],
  others: [
    'set',
    [
      ['uuid', 'c2'],
      ['uuid', 'c3'],
    ],
  ],
  ids: [
    'map',
    [
      ['k', 'v'],
      ['l', 'w'],
    ],
  ],
}

t.test('RowCopy reads rows, with the default of what they leave out', async (t) => {
  const copy = copyOf([put('1', full), put('2', {})])
  t.equal(copy.isComplete, true)
  const [one, two] = copy.rows('Port').values()
  t.strictSame(one, {
    tag: 7,
    name: 'one',
    macs: ['a', 'b'],
    chassis: 'c1',
    others: ['c2', 'c3'],
    ids: new Map([
      ['k', 'v'],
      ['l', 'w'],
    ]),
  })
  t.strictSame(two, { tag: 0, name: '', macs: [], chassis: undefined, others: [], ids: new Map() })
})

t.test('RowCopy applies differences as ovsdb-server means them', async (t) => {
  const copy = copyOf([put('1', full)])
  copy.apply([
    modify('1', {
      macs: ['set', ['b', 'c']],
      chassis: ['set', []],
      others: ['uuid', 'c2'],
      ids: [
        'map',
        [
          ['k', 'v'],
          ['l', 'x'],
          ['m', 'y'],
        ],
      ],
    }),
  ])
  t.strictSame(copy.rows('Port').get('1'), {
    tag: 7,
    name: 'one',
    macs: ['a', 'c'],
    chassis: undefined,
    others: ['c3'],
    ids: new Map([
      ['l', 'x'],
      ['m', 'y'],
    ]),
  })
  copy.apply([modify('1', { chassis: ['uuid', 'c9'], name: 'two', tag: 8 })])
  t.match(copy.rows('Port').get('1'), { chassis: 'c9', name: 'two', tag: 8 })
  copy.apply([{ kind: 'delete', table: 'Port', uuid: '1' }])
  t.equal(copy.rows('Port').size, 0)
})

t.test('RowCopy shows a new copy only when it is whole', async (t) => {
  let changes = 0
  const copy = new RowCopy(schema, () => (changes += 1))
  t.equal(copy.isComplete, false)
  const first = copy.startCopy()
  first.add(put('1', full))
  t.equal(copy.rows('Port').size, 0)
  first.finish()
  t.equal(changes, 1)
  const second = copy.startCopy()
  second.add(put('2', full))
  t.strictSame([...copy.rows('Port').keys()], ['1'])
  second.finish()
  t.strictSame([...copy.rows('Port').keys()], ['2'])
})

t.test('RowCopy refuses what cannot be', async (t) => {
  const copy = copyOf([])
  t.throws(() => copy.apply([modify('1', { name: 'x' })]), {
    message: /column holds no|not in the copy/,
  })
  t.throws(() => copy.apply([put('1', { name: 7 })]), {
    message: /column holds no|not in the copy/,
  })
  t.throws(() => copy.apply([put('1', { chassis: 'text' })]), {
    message: /column holds no|not in the copy/,
  })
  t.throws(() => copy.apply([put('1', { ids: ['set', []] })]), {
    message: /column holds no|not in the copy/,
  })
  copy.apply([{ kind: 'put', table: 'Unknown', uuid: '1', row: {} }])
})
