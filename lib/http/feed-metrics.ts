/** How many watch, and how many could not keep up? */
import { MetricArea, type Registry } from '../observe/metrics.ts'
import type { Daemon } from '../config/defaults.ts'
import type { EventFeed } from './event-feed.ts'

/** Has both read off a feed whenever the metrics are read. */
export function measureFeed(
  registry: Registry,
  daemon: Daemon,
  feed: Pick<EventFeed<unknown>, 'watchers' | 'dropped'>,
): void {
  const area = new MetricArea(registry, '')
  area.gauge(
    'event_streams',
    'Streams of requests that are open on the admin socket.',
    ['daemon'],
    (gauge) => gauge.set({ daemon }, feed.watchers),
  )
  area.counter(
    'event_streams_dropped_total',
    'Streams of requests that were ended since their reader was too slow.',
    ['daemon'],
    (counter) => counter.inc({ daemon }, feed.dropped),
  )
}
