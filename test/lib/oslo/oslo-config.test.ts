import { readFileSync } from 'node:fs'
import t from 'tap'
import { OsloConfig } from '../../../lib/oslo/oslo-config.ts'
import { OsloParseError, parseOsloIni } from '../../../lib/oslo/oslo-ini.ts'
import type { OsloOption } from '../../../lib/oslo/oslo-option.ts'

interface Recorded {
  readonly options: readonly OsloOption[]
  readonly cases: readonly {
    readonly files: readonly string[]
    readonly refused?: true
    readonly values?: Readonly<Record<string, { readonly value?: unknown; readonly error?: true }>>
  }[]
}

/** Made by test/support/record-oslo-config.py; another file of the same form may be named. */
const recording = process.env['OVERLAPD_OSLO_CASES'] ?? 'test/fixtures/oslo-config/recorded.json'
const recorded = JSON.parse(readFileSync(recording, 'utf8')) as Recorded

function read(files: readonly string[], options: readonly OsloOption[]): unknown {
  let config: OsloConfig
  try {
    config = new OsloConfig(
      files.map((text, index) => parseOsloIni(text, `${index}.conf`)),
      options,
    )
  } catch (thrown) {
    if (!(thrown instanceof OsloParseError)) throw thrown
    return { refused: true }
  }
  const one = (option: OsloOption): unknown => {
    try {
      return { value: config.read(option).value ?? null }
    } catch {
      return { error: true }
    }
  }
  return {
    values: Object.fromEntries(
      options.map((option) => [`${option.group}.${option.name}`, one(option)]),
    ),
  }
}

t.test('OsloConfig reads what the genuine oslo.config reads', async (t) => {
  let differing = 0
  for (const { files, ...expected } of recorded.cases) {
    const found = read(files, recorded.options)
    if (JSON.stringify(found) === JSON.stringify(expected)) continue
    differing += 1
    if (differing <= 10) t.strictSame(found, expected, JSON.stringify(files))
  }
  t.equal(differing, 0, `of ${recorded.cases.length}`)
})

const secret = {
  group: 'DEFAULT',
  name: 'metadata_proxy_shared_secret',
  type: 'string',
  secret: true,
} as const

function valueOf(text: string, option: OsloOption = secret): unknown {
  return new OsloConfig([parseOsloIni(text, 'a.ini')], [option]).read(option).value
}

t.test('a value keeps what other INI readers take for comments', async (t) => {
  const name = 'metadata_proxy_shared_secret'
  t.equal(valueOf(`[DEFAULT]\n${name} = a#b;c # d\n`), 'a#b;c # d')
  t.equal(valueOf(`[DEFAULT]\n${name} = "a=b:c"\n`), 'a=b:c')
  t.equal(valueOf(`[DEFAULT]\n${name}=a$$b\n`), 'a$b')
  t.equal(valueOf(`[DEFAULT]\n#${name}=a\n`), undefined)
})

t.test('a secret that cannot be used is not repeated in the error', async (t) => {
  const text = '[DEFAULT]\nmetadata_proxy_shared_secret = pa$word\n'
  t.throws(() => valueOf(text), {
    message: /^a\.ini:2: \[DEFAULT\] metadata_proxy_shared_secret: /,
  })
  try {
    valueOf(text)
  } catch (thrown) {
    t.notMatch(String(thrown), 'word')
  }
})

t.test('variables that go in circles are an error, not a hang', async (t) => {
  const one = { group: 'DEFAULT', name: 'one', type: 'string' } as const
  const two = { group: 'DEFAULT', name: 'two', type: 'string' } as const
  const file = parseOsloIni('[DEFAULT]\none = $two\ntwo = $one\n', 'a.ini')
  t.throws(() => new OsloConfig([file], [one, two]).read(one), { message: /circles/ })
})

t.test('read() gives where a value stands and under which old name', async (t) => {
  const option = {
    group: 'DEFAULT',
    name: 'nova_metadata_host',
    type: 'string',
    deprecated: [{ name: 'nova_metadata_ip' }],
  } as const
  const file = parseOsloIni('[DEFAULT]\n\nnova_metadata_ip = 192.0.2.1\n', 'a.ini')
  t.strictSame(new OsloConfig([file], [option]).read(option), {
    value: '192.0.2.1',
    origin: { file: 'a.ini', line: 3, deprecatedName: '[DEFAULT] nova_metadata_ip' },
  })
})

t.test('unknown() lists what no option reads', async (t) => {
  const file = parseOsloIni('[DEFAULT]\nx = 1\n[Agent]\ny = 2\ny = 3\n', 'a.ini')
  t.strictSame(new OsloConfig([file], [secret]).unknown(), [
    { group: 'DEFAULT', name: 'x', origin: { file: 'a.ini', line: 2 } },
    { group: 'agent', name: 'y', origin: { file: 'a.ini', line: 5 } },
  ])
})
