import t from 'tap'
import { exportedMetrics } from '../support/exported-metrics.ts'
import { sourceFiles } from '../support/source-files.ts'

const exported = exportedMetrics()

t.test('each file that makes metrics is part of what is exported', async (t) => {
  const list = sourceFiles(['test/support']).find(({ path }) =>
    path.endsWith('/exported-metrics.ts'),
  )
  const makers = sourceFiles().filter(
    ({ path, text }) =>
      path !== 'lib/observe/metrics.ts' &&
      /new (?:Counter|Gauge|Histogram|MetricArea)\b/.test(text),
  )
  t.ok(makers.length > 5)
  for (const { path } of makers) {
    // The class that the directories have in common comes with each of them.
    if (path === 'agent-side/ports/directory/metrics.ts') continue
    t.ok(list?.text.includes(`'../../${path}'`), path)
  }
})

t.test('each metric is named overlapd_<area>_<noun>_<unit>[_total], in base units', async (t) => {
  t.ok(exported.size > 0)
  for (const [name, { type }] of exported) {
    // Prometheus' clients call what every process has by these names.
    t.match(name, /^(?:overlapd(?:_[a-z][a-z0-9]*){2,}|process(?:_[a-z]+)+)$/)
    t.notMatch(name, /_(?:ms|millis|milliseconds|minutes|hours|kb|kib|mb|mib|percent)(?:_|$)/, name)
    if (type === 'counter') t.match(name, /_total$/)
    else t.notMatch(name, /_total$/)
    if (type === 'histogram') t.match(name, /_(?:seconds|bytes|rows|ports|requests)$/)
  }
})

t.test('each metric has a sentence of help', async (t) => {
  for (const [name, { help }] of exported) t.match(help, /^[A-Z0-9e][^]{8,}/, name)
})
