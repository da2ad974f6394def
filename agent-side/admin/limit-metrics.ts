import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { FairGateObserver, ShedReason } from '../../lib/admission/fair-gate.ts'
import {
  MetricArea,
  type Counter,
  type Histogram,
  type Registry,
} from '../../lib/observe/metrics.ts'
import type { RateLimitObserver, RateLimitSubject } from '../requests/guest-rate-limits.ts'

/** What is looked at when the metrics are read. */
export interface LimitedParts {
  readonly limit: { readonly value: Count }
  readonly gate: { readonly running: Count; readonly waiting: Count }
  readonly turns: { readonly waiting: Count }
  readonly rateLimits: { readonly size: Count }
}

const milliseconds = 1_000

/** Every metric about waiting, refused and too many requests. */
export class LimitMetrics implements FairGateObserver, RateLimitObserver {
  readonly #area: MetricArea
  readonly #waitSeconds: Histogram<'outcome'>
  readonly #shed: Counter<'why'>
  readonly #shared: Counter
  readonly #limited: Counter<'subject'>
  readonly #wouldLimit: Counter<'subject'>
  readonly #exempt: Counter

  constructor(registry: Registry) {
    const area = new MetricArea(registry, 'agent')
    this.#area = area
    this.#waitSeconds = area.histogram(
      'compute_wait_seconds',
      'Seconds that requests waited for their turn at compute, of those that had to, by how the wait ended.',
      ['outcome'],
    )
    this.#shed = area.counter(
      'compute_shed_total',
      'Requests refused with Retry-After because too many waited or they waited too long.',
      ['why'],
    )
    this.#shared = area.counter(
      'compute_shared_answers_total',
      'Requests that got the answer of another request of the same instance.',
    )
    this.#limited = area.counter(
      'rate_limit_limited_total',
      'Requests refused because an instance, or a source that is none, sends too many.',
      ['subject'],
    )
    this.#wouldLimit = area.counter(
      'rate_limit_would_limit_total',
      'Requests that would have been refused if rate_limit.dry_run were off.',
      ['subject'],
    )
    this.#exempt = area.counter(
      'rate_limit_exempt_total',
      'Requests that no limit counted because their instance was booting.',
    )
    for (const why of ['queue_full', 'waited_too_long'] as const) this.#shed.inc({ why }, 0)
    for (const subject of ['instance', 'source'] as const) {
      this.#limited.inc({ subject }, 0)
      this.#wouldLimit.inc({ subject }, 0)
    }
  }

  /** Adds the gauges, which read the parts when they are read. */
  watch({ limit, gate, turns, rateLimits }: LimitedParts): void {
    const gauge = (name: string, help: string, value: () => number): void => {
      this.#area.gauge(name, help, [], (one) => one.set(value()))
    }
    gauge('compute_limit', 'Requests that may be on their way to compute.', () => limit.value)
    gauge('compute_running', 'Requests that are on their way to compute.', () => gate.running)
    gauge('compute_waiting', 'Requests that wait for their turn at compute.', () => gate.waiting)
    gauge(
      'proxy_requests_waiting',
      'Requests that wait since their certificate has half of what compute takes under way.',
      () => turns.waiting,
    )
    gauge('rate_limit_instances', 'Instances that the rate limit remembers.', () => rateLimits.size)
  }

  waited(outcome: 'entered' | 'left', span: Milliseconds): void {
    this.#waitSeconds.observe({ outcome }, span / milliseconds)
  }

  shed(why: ShedReason): void {
    this.#shed.inc({ why })
  }

  shared(): void {
    this.#shared.inc()
  }

  limited(subject: RateLimitSubject): void {
    this.#limited.inc({ subject })
  }

  wouldLimit(subject: RateLimitSubject): void {
    this.#wouldLimit.inc({ subject })
  }

  exempted(): void {
    this.#exempt.inc()
  }
}
