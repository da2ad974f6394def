import {
  MetricArea,
  type Counter,
  type Histogram,
  type Registry,
} from '../../../lib/observe/metrics.ts'
import type { Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../lib/runtime/errors.ts'
import type { PortDirectory } from './port-directory.ts'

/**
 * How a query to the source ended: with an answer, with an error of the source, without an answer in time, or without
 * having reached the source. `sent` is for messages that have no answer.
 */
export type QueryOutcome = 'answered' | 'rejected' | 'timeout' | 'failed' | 'sent'
/** What an answer to the resolver rests on. A stale copy is one that the source does not confirm at this moment. */
export type AnswerOrigin = 'copy' | 'source' | 'stale_copy'
/** What the source reported of a port or a row. */
export type ChangeEvent = 'updated' | 'deleted' | 'unreadable'
/** How the source was read: as a whole, from where the last session ended, or not at all. */
export type LoadOutcome = 'loaded' | 'resumed' | 'refused'

const milliseconds = 1_000

/** The outcome of a query that threw before the source had answered. */
export function outcomeOf(cause: unknown): QueryOutcome {
  const isLate = cause instanceof MetadataError && cause.code === 'directory_timeout'
  return isLate ? 'timeout' : 'failed'
}

/** The metrics that port directories have in common. Each series names its directory; what one alone has stands beside it. */
export class DirectoryMetrics<Kind extends string = never> {
  protected readonly directory: string
  protected readonly area: MetricArea
  readonly #queries: Counter<'directory' | 'kind' | 'outcome'>
  readonly #querySeconds: Histogram<'directory' | 'kind'>
  readonly #answers: Counter<'directory' | 'from'>
  readonly #changes: Counter<'directory' | 'event'>
  readonly #loads: Counter<'directory' | 'outcome'>

  /** @param registry must not have the metrics of a directory yet */
  constructor(directory: PortDirectory['kind'], registry: Registry) {
    this.directory = directory
    const area = new MetricArea(registry, 'directory')
    this.area = area
    this.#queries = area.counter(
      'queries_total',
      'Queries that a port directory sent to its source, by kind and outcome: answered, rejected, timeout, failed, sent.',
      ['directory', 'kind', 'outcome'],
    )
    this.#querySeconds = area.histogram(
      'query_duration_seconds',
      'Seconds from sending a query to the source to its answer, or to giving up.',
      ['directory', 'kind'],
    )
    this.#answers = area.counter(
      'answers_total',
      'Answers of a port directory to the resolver, by origin: copy, source, stale_copy (the source does not confirm the copy).',
      ['directory', 'from'],
    )
    this.#changes = area.counter(
      'changes_total',
      'Changes that the source reported, by event: updated, deleted, unreadable. Ports with neutron-rpc, rows with ovn.',
      ['directory', 'event'],
    )
    this.#loads = area.counter(
      'loads_total',
      'Readings of the source, by outcome: loaded (as a whole), resumed (what had changed), refused (not usable).',
      ['directory', 'outcome'],
    )
  }

  /** Adds the gauges, which are read off the directory whenever the metrics are read. */
  watch(
    source: Pick<PortDirectory, 'isConfirmed' | 'readiness'>,
    held: () => { readonly ports: Count; readonly networks: Count },
  ): void {
    const { directory } = this
    const gauge = (name: string, help: string, value: () => number): void => {
      this.area.gauge(name, help, ['directory'], (one) => one.set({ directory }, value()))
    }
    gauge('ports', 'Ports that a port directory holds.', () => held().ports)
    gauge('networks', 'Networks that a port directory holds.', () => held().networks)
    gauge('confirmed', '1 while the source confirms what a port directory answers.', () =>
      (source.isConfirmed?.() ?? source.readiness().ready) ? 1 : 0,
    )
  }

  /** A query ended. `span` is absent for a message that has no answer. */
  queried(kind: Kind, outcome: QueryOutcome, span?: Milliseconds): void {
    const { directory } = this
    this.#queries.inc({ directory, kind, outcome })
    if (span !== undefined) this.#querySeconds.observe({ directory, kind }, span / milliseconds)
  }

  answered(from: AnswerOrigin): void {
    this.#answers.inc({ directory: this.directory, from })
  }

  changed(event: ChangeEvent, count: Count = 1): void {
    this.#changes.inc({ directory: this.directory, event }, count)
  }

  loaded(outcome: LoadOutcome, count: Count = 1): void {
    this.#loads.inc({ directory: this.directory, outcome }, count)
  }
}
