/** How is this process, whatever it does? Build, memory, processor, descriptors, and how late its event loop is. */
import type { Daemon } from '../config/defaults.ts'
import { openFiles } from '../host/process-facts.ts'
import type { Clock } from '../runtime/clock.ts'
import { EventLoopWatch } from '../runtime/event-loop-watch.ts'
import { packageVersion } from '../runtime/package-version.ts'
import {
  Counter,
  Gauge,
  Histogram,
  latencyBuckets,
  metricNamespace,
  type Registry,
} from './metrics.ts'

const milliseconds = 1_000
const microseconds = 1_000_000
/**
 * Adds what Prometheus' clients export of every process, by the names that its dashboards know, and the build.
 * prom-client's own collection would measure the loop a hundred times a second and has names that `promtool` rejects.
 */
export function watchProcess(registry: Registry, daemon: Daemon, clock: Clock): void {
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number | undefined): void => {
    const made: Gauge = new Gauge({
      name,
      help,
      registers: [],
      collect() {
        const value = read()
        if (value === undefined) made.remove()
        else made.set(value)
      },
    })
    registry.registerMetric(made)
  }
  const startedAt = clock.wallTime() / milliseconds - process.uptime()
  new Gauge({
    name: `${metricNamespace}_build_info`,
    help: 'Always 1; the labels name the version that runs, and on which Node.',
    labelNames: ['daemon', 'version', 'node'],
    registers,
  }).set({ daemon, version: packageVersion(), node: process.versions.node }, 1)
  const cpu: Counter = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time of this process, of user and system together; that of workers is not in it.',
    registers: [],
    collect() {
      const { user, system } = process.cpuUsage()
      cpu.reset()
      cpu.inc((user + system) / microseconds)
    },
  })
  registry.registerMetric(cpu)
  gauge(
    'process_start_time_seconds',
    'When the process started, in seconds since 1970.',
    () => startedAt,
  )
  gauge('process_resident_memory_bytes', 'Memory of this process that is in RAM.', () =>
    process.memoryUsage.rss(),
  )
  gauge('process_open_fds', 'Open file descriptors.', () => openFiles('self')?.open)
  gauge('process_max_fds', 'How many file descriptors may be open.', () => openFiles('self')?.limit)
}

/** Adds how late the event loop of this process is. @returns what measures it, to be started */
export function watchEventLoop(registry: Registry, daemon: Daemon, clock: Clock): EventLoopWatch {
  const lags = new Histogram({
    name: `${metricNamespace}_event_loop_lag_seconds`,
    help: 'How late a callback ran that was due, measured once a second in the main process of a daemon.',
    labelNames: ['daemon'],
    buckets: latencyBuckets,
    registers: [registry],
  })
  return new EventLoopWatch(clock, (lag) => lags.observe({ daemon }, lag / milliseconds))
}
