import {
  Counter,
  Gauge,
  Histogram,
  latencyBuckets,
  metricNamespace,
  type Registry,
} from '../../../lib/observe/metrics.ts'

/** What the `neutron-rpc` directory counts. */
export interface NeutronRpcMetrics {
  /** By `method` and `outcome`: `answered`, `failed`, `timeout`, `unavailable`, and `sent` for what needs no answer. */
  readonly calls: Counter<'method' | 'outcome'>
  readonly callSeconds: Histogram<'method'>
  /** By `event`: `updated`, `deleted`, `unreadable`. */
  readonly pushes: Counter<'event'>
  /** By `reason`: `late_reply`, `unreadable_reply`. */
  readonly droppedMessages: Counter<'reason'>
  readonly lostPushes: Counter
  readonly connected: Gauge
  readonly copyLive: Gauge
  readonly heldPorts: Gauge
}

/** Makes the directory's metrics in the process's registry. */
export function createNeutronRpcMetrics(registry: Registry): NeutronRpcMetrics {
  const registers = [registry]
  const name = (rest: string): string => `${metricNamespace}_neutron_rpc_${rest}`
  return {
    calls: new Counter({
      name: name('calls_total'),
      help: 'Messages sent to Neutron servers, by method and what became of them.',
      labelNames: ['method', 'outcome'],
      registers,
    }),
    callSeconds: new Histogram({
      name: name('call_duration_seconds'),
      help: 'Time from asking a Neutron server to its answer or the end of waiting.',
      labelNames: ['method'],
      buckets: latencyBuckets,
      registers,
    }),
    pushes: new Counter({
      name: name('pushes_total'),
      help: 'Changes of ports that Neutron servers told, by event.',
      labelNames: ['event'],
      registers,
    }),
    droppedMessages: new Counter({
      name: name('dropped_messages_total'),
      help: 'Replies that nobody waited for any more, or that could not be read.',
      labelNames: ['reason'],
      registers,
    }),
    lostPushes: new Counter({
      name: name('lost_pushes_total'),
      help: 'Changes of ports that were found by asking and never told.',
      registers,
    }),
    connected: new Gauge({
      name: name('connected_ratio'),
      help: '1 while there is a connection to a broker.',
      registers,
    }),
    copyLive: new Gauge({
      name: name('copy_live_ratio'),
      help: '1 while pushed changes keep the local copy right.',
      registers,
    }),
    heldPorts: new Gauge({
      name: name('held_ports_count'),
      help: 'Ports in the local copy.',
      registers,
    }),
  }
}
