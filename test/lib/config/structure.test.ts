import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { ConfigError, problemText } from '../../../lib/config/config-error.ts'
import type { Table } from '../../../lib/config/entry.ts'
import { loadConfig } from '../../../lib/config/load.ts'
import { integer, text } from '../../../lib/config/option.ts'
import { list, optional, record, section } from '../../../lib/config/structure.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const help = 'For the test.'

function read(t: Test, table: Table, yaml: string): unknown {
  const dir = scratchFolder(t)
  writeFileSync(`${dir}/x.yaml`, yaml)
  try {
    return loadConfig(table, {
      file: `${dir}/x.yaml`,
      environment: {},
      environmentPrefix: 'P',
    }).config
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    return thrown.problems.map((problem) => problemText(problem).replace(`${dir}/`, ''))
  }
}

t.test('section() nests, and an empty one has its defaults', async (t) => {
  const table = { a: section({ b: section({ c: integer({ help, default: 1 }) }) }) }
  t.strictSame(read(t, table, ''), { a: { b: { c: 1 } } })
  t.strictSame(read(t, table, 'a:\n'), { a: { b: { c: 1 } } })
  t.strictSame(read(t, table, 'a: { b: { c: 2 } }'), { a: { b: { c: 2 } } })
  t.strictSame(read(t, table, 'a: 5'), ['a: 5 is not a section (x.yaml:1)'])
  t.strictSame(read(t, table, '- a'), ['a list is not a section (x.yaml)'])
})

t.test('list() reads each item and has a limit', async (t) => {
  const table = { a: list(integer({ help, max: 9 }), { help, max: 3, default: [7] }) }
  t.strictSame(read(t, table, ''), { a: [7] })
  t.strictSame(read(t, table, 'a: []'), { a: [] })
  t.strictSame(read(t, table, 'a: [1, 2]'), { a: [1, 2] })
  t.strictSame(read(t, table, 'a:\n  - 1\n  - 10\n  - x\n'), [
    'a[1]: 10 is not a whole number of at most 9 (x.yaml:3)',
    'a[2]: "x" is not a whole number of at most 9 (x.yaml:4)',
  ])
  t.match(read(t, table, 'a: [1, 2, 3, 4]'), [/^a: a list of more than 3 is not/])
  t.match(read(t, table, 'a: 1'), [/^a: 1 is not a list, each item a whole number/])
  t.match(read(t, table, 'a:'), [/^a: nothing is not a list/])
})

t.test('record() reads names of the operator, of the pattern if there is one', async (t) => {
  const table = {
    a: record(section({ id: text({ help }) }), {
      help,
      namePattern: /^[a-z-]+$/,
      expectedName: 'lower-case letters',
      default: {},
    }),
  }
  t.strictSame(read(t, table, ''), { a: {} })
  t.strictSame(read(t, table, 'a: { x-y: { id: z } }'), { a: { 'x-y': { id: 'z' } } })
  t.strictSame(read(t, table, 'a: { X: { id: z } }'), [
    'a.X: the name is not lower-case letters (x.yaml:1)',
  ])
  t.strictSame(read(t, table, 'a: { x: {} }'), ['a.x.id: must be given: text'])
  t.match(read(t, table, 'a: [x]'), [/^a: a list is not a mapping of names/])
})

t.test('optional() gives undefined when nothing, or nothing at all, was written', async (t) => {
  const table = { a: optional(integer({ help })), b: optional(list(text({ help }), { help })) }
  t.strictSame(read(t, table, ''), { a: undefined, b: undefined })
  t.strictSame(read(t, table, 'a:\nb:\n'), { a: undefined, b: undefined })
  t.strictSame(read(t, table, 'a: 1\nb: [x]\n'), { a: 1, b: ['x'] })
  t.match(read(t, table, 'a: x'), [/^a: "x" is not a whole number/])
})
