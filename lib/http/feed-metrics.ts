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
  const registers = [registry]
  const prefix = `${metricNamespace}_${daemon}_event_streams`
  const open: Gauge = new Gauge({
    name: prefix,
    help: 'Streams of requests that are open on the admin socket.',
    registers,
    collect: () => open.set(feed.watchers),
  })
  const dropped: Counter = new Counter({
    name: `${prefix}_dropped_total`,
    help: 'Streams of requests that were ended since their reader was too slow.',
    registers,
    collect() {
      dropped.reset()
      dropped.inc(feed.dropped)
    },
  })
}
