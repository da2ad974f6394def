import t from 'tap'
import { parseYaml, readYamlFile, YamlError, yamlText } from '../../../lib/files/yaml.ts'

function complaint(run: () => unknown): string {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof YamlError) return thrown.message
    throw thrown
  }
  return 'none'
}

t.test('parseYaml() gives the value and the line of each place', async (t) => {
  const document = parseYaml('a: 1\nb:\n  - x\n  - c: y\n    d: z\n', 'f.yaml')
  t.strictSame(document.value, { a: 1, b: ['x', { c: 'y', d: 'z' }] })
  t.equal(document.lineOf(['a']), 1)
  t.equal(document.lineOf(['b']), 2)
  t.equal(document.lineOf(['b', 0]), 3)
  t.equal(document.lineOf(['b', 1, 'd']), 5)
  t.equal(document.lineOf(['b', 1, 'none']), 4)
  t.equal(document.lineOf([]), undefined)
  t.equal(document.lineOf(['none']), undefined)
})

t.test('parseYaml() reads YAML 1.2: no and on are words', async (t) => {
  t.strictSame(parseYaml('[no, on, 0o17, 010, "5", null]', 'f').value, [
    'no',
    'on',
    15,
    10,
    '5',
    null,
  ])
})

t.test('parseYaml() reports where a text is broken', async (t) => {
  const rows = [
    ['a: 1\na: 2\n', /^f\.yaml:2: Map keys must be unique/],
    ['a: [1\n', /^f\.yaml:\d: /],
    ['a: 1\n---\nb: 2\n', /^f\.yaml:\d: .*multiple documents/i],
    ['a: !!js/function x\n', /^f\.yaml:1: Unresolved tag/],
    ['a: *nothing\n', /^f\.yaml:1: Unresolved alias|^f\.yaml: Unresolved alias/],
    ['\ta: 1\n', /^f\.yaml:1: /],
  ] as const
  for (const [text, message] of rows)
    t.match(
      complaint(() => parseYaml(text, 'f.yaml')),
      message,
    )
})

t.test('parseYaml() does not let aliases multiply', async (t) => {
  const levels = ['a: &a [x, x, x, x, x, x, x, x, x]']
  for (let level = 1; level < 10; level += 1) {
    const [name, above] = ['abcdefghij'[level], 'abcdefghij'[level - 1]]
    levels.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${above}`).join(', ')}]`)
  }
  t.match(
    complaint(() => parseYaml(levels.join('\n'), 'f.yaml')),
    /Excessive alias count/,
  )
  t.strictSame(parseYaml('a: &x [1]\nb: *x\n', 'f.yaml').value, { a: [1], b: [1] })
})

t.test('parseYaml() has a limit of length', async (t) => {
  t.match(
    complaint(() => parseYaml('a: 12345', 'f.yaml', 5)),
    /longer than 5 bytes/,
  )
})

t.test('yamlText() writes what parseYaml() reads', async (t) => {
  const value = { a: ['no', 'x: y', { b: '#1', c: 7 }], 'd-e': { f: true, g: [], h: '010' } }
  const text = yamlText(value)
  t.strictSame(parseYaml(text, 'f.yaml').value, value)
  t.match(text, /^a:\n {2}- "no"\n/)
})

t.test('readYamlFile() reads a file or reports why not', async (t) => {
  const dir = t.testdir({ 'x.yaml': 'a: 1\n' })
  t.strictSame(readYamlFile(`${dir}/x.yaml`).value, { a: 1 })
  t.match(
    complaint(() => readYamlFile(`${dir}/none.yaml`)),
    /none\.yaml: Cannot read the file: ENOENT/,
  )
})
