import {
  Counter,
  Gauge,
  Histogram,
  latencyBuckets,
  metricNamespace,
} from '../../../lib/observe/metrics.ts'
import type { Registry } from '../../../lib/observe/metrics.ts'

/** What a request to Keystone or Neutron was for. */
export type QuestionKind =
  'token' | 'router_interfaces' | 'network_ports' | 'ports_by_address' | 'ports_by_mac'

const prefix = `${metricNamespace}_neutron_rest`

/** Every metric of the `neutron-rest` directory. */
export class NeutronRestMetrics {
  /** HTTP requests, retries and further pages included: what Neutron and Keystone see of us. */
  readonly questions: Counter<'kind' | 'outcome'>
  readonly questionSeconds: Histogram<'kind'>
  readonly answers: Counter<'from'>
  readonly heldPorts: Gauge
  readonly heldNetworks: Gauge

  constructor(registry: Registry) {
    const registers = [registry]
    this.questions = new Counter({
      name: `${prefix}_questions_total`,
      help: 'HTTP requests to Neutron and Keystone, by what they asked and how they ended.',
      labelNames: ['kind', 'outcome'],
      registers,
    })
    this.questionSeconds = new Histogram({
      name: `${prefix}_question_seconds`,
      help: 'Seconds until Neutron had answered one HTTP request.',
      labelNames: ['kind'],
      buckets: latencyBuckets,
      registers,
    })
    this.answers = new Counter({
      name: `${prefix}_answers_total`,
      help: 'Answers to the resolver: from the own copy, asked of Neutron, or a stale copy while Neutron is away.',
      labelNames: ['from'],
      registers,
    })
    this.heldPorts = new Gauge({
      name: `${prefix}_held_ports`,
      help: 'Ports in the own copy.',
      registers,
    })
    this.heldNetworks = new Gauge({
      name: `${prefix}_held_networks`,
      help: 'Networks in the own copy.',
      registers,
    })
  }
}
