/** How many watch, and how many could not keep up? */
import { Counter, Gauge, metricNamespace, type Registry } from '../observe/metrics.ts'
import type { Daemon } from '../config/defaults.ts'
import type { EventFeed } from './event-feed.ts'

/** Has both read off a feed whenever the metrics are read. */
export function measureFeed(
  registry: Registry,
  daemon: Daemon,
  feed: Pick<EventFeed<unknown>, 'watchers' | 'dropped'>,
): void {
  registry.registerMetric(
    new Gauge({
      name: `${metricNamespace}_event_streams`,
      help: 'Streams of requests that are open on the admin socket.',
      labelNames: ['daemon'],
      registers: [],
      collect() {
        this.set({ daemon }, feed.watchers)
      },
    }),
  )
  registry.registerMetric(
    new Counter({
      name: `${metricNamespace}_event_streams_dropped_total`,
      help: 'Streams of requests that were ended since their reader was too slow.',
      labelNames: ['daemon'],
      registers: [],
      collect() {
        this.reset()
        this.inc({ daemon }, feed.dropped)
      },
    }),
  )
}
