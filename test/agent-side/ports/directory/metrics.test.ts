import t from 'tap'
import { DirectoryMetrics, outcomeOf } from '../../../../agent-side/ports/directory/metrics.ts'
import { createRegistry } from '../../../../lib/observe/metrics.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'

const label = 'directory="ovn"'

t.test('DirectoryMetrics names the directory in every series', async (t) => {
  const registry = createRegistry()
  const metrics = new DirectoryMetrics<'token'>('ovn', registry)
  metrics.watch({ readiness: () => ({ ready: true, detail: '' }) }, () => ({
    ports: 3,
    networks: 2,
  }))
  metrics.queried('token', 'answered', 1_500)
  metrics.queried('token', 'sent')
  metrics.answered('stale_copy')
  metrics.changed('deleted', 4)
  metrics.loaded('resumed')
  const text = await registry.metrics()
  for (const line of [
    `overlapd_directory_ports{${label}} 3`,
    `overlapd_directory_networks{${label}} 2`,
    `overlapd_directory_queries_total{${label},kind="token",outcome="answered"} 1`,
    `overlapd_directory_queries_total{${label},kind="token",outcome="sent"} 1`,
    `overlapd_directory_query_duration_seconds_sum{${label},kind="token"} 1.5`,
    `overlapd_directory_query_duration_seconds_count{${label},kind="token"} 1`,
    `overlapd_directory_answers_total{${label},from="stale_copy"} 1`,
    `overlapd_directory_changes_total{${label},event="deleted"} 4`,
    `overlapd_directory_loads_total{${label},outcome="resumed"} 1`,
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  t.ok(series.every((line) => line.includes(label)))
})

t.test(
  'DirectoryMetrics shows what the directory reports of its source, else its readiness',
  async (t) => {
    for (const [isConfirmed, ready, shown] of [
      [() => false, true, 0],
      [() => true, false, 1],
      [undefined, true, 1],
      [undefined, false, 0],
    ] as const) {
      const registry = createRegistry()
      const source = {
        readiness: () => ({ ready, detail: '' }),
        ...(isConfirmed !== undefined && { isConfirmed }),
      }
      new DirectoryMetrics('ovn', registry).watch(source, () => ({ ports: 0, networks: 0 }))
      t.match(await registry.metrics(), `overlapd_directory_confirmed{${label}} ${shown}\n`)
    }
  },
)

t.test(
  'outcomeOf() distinguishes a source that is late from one that was not reached',
  async (t) => {
    t.equal(outcomeOf(new MetadataError('directory_timeout', 'late')), 'timeout')
    t.equal(outcomeOf(new MetadataError('directory_unavailable', 'away')), 'failed')
    t.equal(outcomeOf(new Error('anything')), 'failed')
  },
)
