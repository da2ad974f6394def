/** How is this process, whatever it does? Build, memory, processor, descriptors, and how late its event loop is. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Daemon } from '../config/defaults.ts'
import type { Cancel, Clock } from '../runtime/clock.ts'
import { packageVersion } from '../runtime/package-version.ts'
import { Counter, Gauge, Histogram, metricNamespace, type Registry } from './metrics.ts'

const milliseconds = 1_000
const microseconds = 1_000_000
/** How often the loop is measured. More often would keep an idle processor awake. */
const lagInterval = 1_000
const lagBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** Absent where `/proc` is not to be had. */
function openDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}

function descriptorLimit(): number | undefined {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    const soft = /^Max open files +(\d+)/m.exec(limits)?.[1]
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}

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
    help: 'Always 1; the labels say which version runs, and on which Node.',
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
  gauge('process_open_fds', 'Open file descriptors.', openDescriptors)
  gauge('process_max_fds', 'How many file descriptors may be open.', descriptorLimit)
}

/** Measures once a second how late the event loop runs what is due. */
export class EventLoopWatch {
  readonly #lag: Histogram<'daemon'>
  readonly #daemon: Daemon
  readonly #clock: Clock
  #cancel: Cancel | undefined

  constructor(registry: Registry, daemon: Daemon, clock: Clock) {
    this.#daemon = daemon
    this.#clock = clock
    this.#lag = new Histogram({
      name: `${metricNamespace}_event_loop_lag_seconds`,
      help: 'How late a callback ran that was due, measured once a second in the main process.',
      labelNames: ['daemon'],
      buckets: lagBuckets,
      registers: [registry],
    })
  }

  start(): void {
    const due = this.#clock.now() + lagInterval
    this.#cancel = this.#clock.schedule(lagInterval, () => {
      const lag = Math.max(0, this.#clock.now() - due)
      this.#lag.observe({ daemon: this.#daemon }, lag / milliseconds)
      this.start()
    })
  }

  close(): void {
    this.#cancel?.()
  }
}
