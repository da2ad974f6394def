import t from 'tap'
import type { ConfigRow } from '../../../lib/config/entry.ts'
import { configReport, configReportData } from '../../../lib/config/report.ts'

function row(path: string, text: string, more: Partial<ConfigRow> = {}): ConfigRow {
  return { path, value: text, text, origin: { kind: 'default' }, secret: false, help: '', ...more }
}

t.test('configReport() lines up values and origins and ends with the warnings', async (t) => {
  const rows = [
    row('log_level', 'info'),
    row('agent.socket', '/a', { origin: { kind: 'file', file: 'p.yaml', line: 3 } }),
    row('x', '1', { origin: { kind: 'environment', name: 'P_X' } }),
  ]
  t.equal(
    configReport({ rows, warnings: ['careful'] }),
    [
      'OPTION        VALUE  FROM',
      'log_level     info   default',
      'agent.socket  /a     p.yaml:3',
      'x             1      P_X',
      'warning: careful',
      '',
    ].join('\n'),
  )
})

t.test('configReport() cuts what is long and shows what is unprintable', async (t) => {
  const text = configReport({
    rows: [row('a', 'y'.repeat(500)), row('b', 'a\u001b[2J')],
    warnings: [],
  })
  t.match(text, `${'y'.repeat(99)}…  default`)
  t.match(text, 'a\\u001b[2J')
})

t.test('configReportData() has values in base units and null where there is none', async (t) => {
  const rows = [row('wait', '2s', { value: 2000 }), row('tls', '(not set)', { value: undefined })]
  t.strictSame(configReportData({ rows, warnings: [], files: ['p.yaml'] }), {
    files: ['p.yaml'],
    options: [
      { path: 'wait', value: 2000, text: '2s', from: 'default' },
      { path: 'tls', value: null, text: '(not set)', from: 'default' },
    ],
    warnings: [],
  })
})
