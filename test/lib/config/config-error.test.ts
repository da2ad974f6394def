import t from 'tap'
import {
  ConfigError,
  originText,
  problemsOfFile,
  problemText,
} from '../../../lib/config/config-error.ts'

t.test('ConfigError has a message that is readable as it is', async (t) => {
  const error = new ConfigError([
    { path: 'a.b', message: '5 is not text', origin: { kind: 'file', file: 'x.yaml', line: 2 } },
    { path: '', message: 'y.yaml: Cannot read the file' },
  ])
  t.equal(
    error.message,
    'Cannot use the configuration: 2 problems\n  a.b: 5 is not text (x.yaml:2)\n  y.yaml: Cannot read the file',
  )
  t.match(new ConfigError([{ path: 'a', message: 'is wrong' }]).message, /: 1 problem\n/)
  t.equal(error.problems.length, 2)
})

t.test('originText() names where a value was written', async (t) => {
  t.equal(originText({ kind: 'default' }), 'default')
  t.equal(originText({ kind: 'file', file: 'x.yaml' }), 'x.yaml')
  t.equal(originText({ kind: 'environment', name: 'P_X' }), 'P_X')
  t.equal(originText({ kind: 'flag', text: '--set a' }), '--set a')
  t.equal(problemText({ path: 'a', message: 'b', origin: { kind: 'default' } }), 'a: b (default)')
})

t.test('problemsOfFile() puts the option before the problems of its file', async (t) => {
  const found = problemsOfFile('tls.list', () => {
    throw new ConfigError([
      { path: 'rows[0]', message: 'is wrong' },
      { path: '', message: 'y.yaml: Cannot read the file' },
    ])
  })
  t.strictSame(
    found.map(({ path }) => path),
    ['tls.list: rows[0]', 'tls.list'],
  )
  t.strictSame(
    problemsOfFile('tls.list', () => 1),
    [],
  )
  const failure = new TypeError('a defect')
  t.throws(
    () =>
      problemsOfFile('tls.list', () => {
        throw failure
      }),
    failure,
  )
})
