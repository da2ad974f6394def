import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { resolve } from 'node:path'
import { ConfigError, problemText } from '../../../lib/config/config-error.ts'
import type { Entry } from '../../../lib/config/entry.ts'
import { loadConfig } from '../../../lib/config/load.ts'
import {
  bytes,
  duration,
  fileMode,
  flag,
  integer,
  oneOf,
  path,
  text,
} from '../../../lib/config/option.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const help = 'For the test.'
const refused = Symbol('refused')

/** What an option makes of a value written in a file, as YAML. */
function fromFile(t: Test, entry: Entry<unknown>, yaml: string): unknown {
  const dir = scratchFolder(t)
  writeFileSync(`${dir}/x.yaml`, `x: ${yaml}\n`)
  return loaded(() =>
    loadConfig({ x: entry }, { file: `${dir}/x.yaml`, environment: {}, environmentPrefix: 'P' }),
  )
}

function fromEnvironment(entry: Entry<unknown>, value: string): unknown {
  return loaded(() =>
    loadConfig({ x: entry }, { environment: { P_X: value }, environmentPrefix: 'P' }),
  )
}

function loaded(load: () => { config: { x: unknown } }): unknown {
  try {
    return load().config.x
  } catch (thrown) {
    if (thrown instanceof ConfigError) return refused
    throw thrown
  }
}

t.test('text() takes text only, of the pattern if there is one', async (t) => {
  t.equal(fromFile(t, text({ help }), 'abc'), 'abc')
  t.equal(fromFile(t, text({ help }), '"5"'), '5')
  t.equal(fromFile(t, text({ help }), '5'), refused)
  t.equal(fromFile(t, text({ help }), '""'), refused)
  t.equal(fromFile(t, text({ help }), '"a\\0b"'), refused)
  t.equal(fromFile(t, text({ help }), '[a]'), refused)
  const port = text({ help, pattern: /^tcp:/, expected: 'text that begins with tcp:' })
  t.equal(fromFile(t, port, 'tcp:x'), 'tcp:x')
  t.equal(fromFile(t, port, 'udp:x'), refused)
})

t.test('path() makes paths absolute: from the file that names them, or from here', async (t) => {
  t.equal(fromFile(t, path({ help }), '/a/b'), '/a/b')
  t.match(fromFile(t, path({ help }), 'a/b'), /\/tap-testdir-[^/]+\/a\/b$|\/a\/b$/)
  t.not(fromFile(t, path({ help }), 'a/b'), resolve('a/b'))
  t.equal(fromEnvironment(path({ help }), 'a/b'), resolve('a/b'))
  t.equal(fromFile(t, path({ help }), '5'), refused)
})

t.test('integer() takes whole numbers of its range', async (t) => {
  const entry = integer({ help, min: 1, max: 64 })
  t.equal(fromFile(t, entry, '64'), 64)
  t.equal(fromEnvironment(entry, '64'), 64)
  for (const yaml of ['0', '65', '1.5', '"5"', 'true', '.nan', '.inf', '1e400']) {
    t.equal(fromFile(t, entry, yaml), refused, yaml)
  }
  for (const value of ['', '0x10', '5 ', '1e1', '9'.repeat(40)]) {
    t.equal(fromEnvironment(entry, value), refused, value)
  }
  t.equal(integer({ help }).expected, 'a whole number')
  t.equal(integer({ help, min: 1 }).expected, 'a whole number of at least 1')
  t.equal(integer({ help, max: 9 }).expected, 'a whole number of at most 9')
})

t.test('bytes() and duration() keep to their ranges', async (t) => {
  const size = bytes({ help, min: '1KiB', max: '1MiB' })
  t.equal(fromFile(t, size, '64KiB'), 65536)
  t.equal(fromFile(t, size, '1023'), refused)
  t.equal(fromFile(t, size, '2MiB'), refused)
  t.equal(size.expected, 'a size in bytes such as 65536 or 64KiB, from 1KiB to 1MiB')
  const span = duration({ help, min: '1ms', max: '1h' })
  t.equal(fromFile(t, span, '5'), 5000)
  t.equal(fromEnvironment(span, '5'), 5000)
  t.equal(fromFile(t, span, '0'), refused)
  t.equal(fromFile(t, span, '61m'), refused)
})

t.test('duration() refuses what a timer of Node cannot hold', async (t) => {
  t.equal(fromFile(t, duration({ help }), '24d'), 24 * 86_400_000)
  t.equal(fromFile(t, duration({ help }), '25d'), refused)
})

t.test('flag() takes true and false, and the usual words where all is text', async (t) => {
  t.equal(fromFile(t, flag({ help }), 'true'), true)
  t.equal(fromFile(t, flag({ help }), 'yes'), refused)
  t.equal(fromFile(t, flag({ help }), '1'), refused)
  for (const word of ['true', 'Yes', 'on', '1'])
    t.equal(fromEnvironment(flag({ help }), word), true)
  for (const word of ['false', 'no', 'OFF', '0'])
    t.equal(fromEnvironment(flag({ help }), word), false)
  t.equal(fromEnvironment(flag({ help }), ''), refused)
})

t.test('oneOf() takes its words and no others', async (t) => {
  const entry = oneOf(['verify', 'prefer', 'off'], { help })
  t.equal(fromFile(t, entry, 'off'), 'off')
  t.equal(fromFile(t, entry, 'Off'), refused)
  t.equal(fromFile(t, entry, 'toString'), refused)
})

t.test('fileMode() takes octal text in quotes, since YAML would read another number', async (t) => {
  const entry = fileMode({ help })
  t.equal(fromFile(t, entry, '"0660"'), 0o660)
  t.equal(fromFile(t, entry, '"600"'), 0o600)
  t.equal(fromFile(t, entry, '0660'), refused)
  t.equal(fromFile(t, entry, '"0980"'), refused)
  t.equal(entry.show(0o660), '0660')
  t.equal(entry.show(0o7), '0007')
  t.equal(entry.plain?.(0o660), '0660')
})

t.test('an option without a default must be given', async (t) => {
  try {
    loadConfig({ x: integer({ help, min: 1 }) }, { environment: {}, environmentPrefix: 'P' })
    t.fail('it was not missed')
  } catch (thrown) {
    t.ok(thrown instanceof ConfigError)
    if (thrown instanceof ConfigError) {
      t.strictSame(thrown.problems.map(problemText), [
        'x: must be given: a whole number of at least 1',
      ])
    }
  }
})

t.test('a long value is cut in the message', async (t) => {
  try {
    loadConfig(
      { x: integer({ help }) },
      { environment: { P_X: 'y'.repeat(5_000) }, environmentPrefix: 'P' },
    )
    t.fail('it was taken')
  } catch (thrown) {
    t.ok(thrown instanceof ConfigError && thrown.message.length < 300)
  }
})
