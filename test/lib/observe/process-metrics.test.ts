import t from 'tap'
import { createRegistry } from '../../../lib/observe/metrics.ts'
import { watchEventLoop, watchProcess } from '../../../lib/observe/process-metrics.ts'
import { packageVersion } from '../../../lib/runtime/package-version.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function valueOf(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1))
}

t.test('watchProcess() exports the build and what Prometheus knows of processes', async (t) => {
  const registry = createRegistry()
  const clock = new FakeClock()
  watchProcess(registry, 'agent', clock)
  const text = await registry.metrics()
  t.match(
    text,
    `overlapd_build_info{daemon="agent",version="${packageVersion()}",node="${process.versions.node}"} 1`,
  )
  const started = valueOf(text, 'process_start_time_seconds')
  t.ok(Math.abs(started - (clock.wallTime() / 1_000 - process.uptime())) < 60)
  t.ok(valueOf(text, 'process_resident_memory_bytes') > 10_000_000)
  t.ok(valueOf(text, 'process_open_fds') > 2)
  t.ok(valueOf(text, 'process_max_fds') >= valueOf(text, 'process_open_fds'))
  const cpu = valueOf(text, 'process_cpu_seconds_total')
  t.ok(cpu > 0)
  // The same process, read again: no more than it used in between is added.
  const again = valueOf(await registry.metrics(), 'process_cpu_seconds_total')
  t.ok(again >= cpu && again < cpu + 5, `${cpu} and then ${again}`)
})

t.test('watchEventLoop() exports what is measured once a second', async (t) => {
  const registry = createRegistry()
  const clock = new FakeClock()
  const watch = watchEventLoop(registry, 'proxy', clock)
  watch.start()
  await clock.advance(3_000)
  watch.close()
  t.match(await registry.metrics(), 'overlapd_event_loop_lag_seconds_count{daemon="proxy"} 3')
})
