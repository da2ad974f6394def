import {
  Counter,
  Gauge,
  Histogram,
  latencyBuckets,
  metricNamespace,
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

const prefix = `${metricNamespace}_directory`
const milliseconds = 1_000

/** The outcome of a query that threw before the source had answered. */
export function outcomeOf(cause: unknown): QueryOutcome {
  const isLate = cause instanceof MetadataError && cause.code === 'directory_timeout'
  return isLate ? 'timeout' : 'failed'
}

/** The metrics that port directories have in common. Each series names its directory; what one alone has stands beside it. */
export class DirectoryMetrics<Kind extends string = never> {
  protected readonly directory: string
  readonly #registry: Registry
  readonly #queries: Counter<'directory' | 'kind' | 'outcome'>
  readonly #querySeconds: Histogram<'directory' | 'kind'>
  readonly #answers: Counter<'directory' | 'from'>
  readonly #changes: Counter<'directory' | 'event'>
  readonly #loads: Counter<'directory' | 'outcome'>

  /** @param registry must not have the metrics of a directory yet */
  constructor(directory: PortDirectory['kind'], registry: Registry) {
    this.directory = directory
    this.#registry = registry
    const registers = [registry]
    this.#queries = new Counter({
      name: `${prefix}_queries_total`,
      help: 'Queries that a port directory sent to its source, by kind and outcome: answered, rejected, timeout, failed, sent.',
      labelNames: ['directory', 'kind', 'outcome'],
      registers,
    })
    this.#querySeconds = new Histogram({
      name: `${prefix}_query_duration_seconds`,
      help: 'Seconds from sending a query to the source to its answer, or to giving up.',
      labelNames: ['directory', 'kind'],
      buckets: latencyBuckets,
      registers,
    })
    this.#answers = new Counter({
      name: `${prefix}_answers_total`,
      help: 'Answers of a port directory to the resolver, by origin: copy, source, stale_copy (the source does not confirm the copy).',
      labelNames: ['directory', 'from'],
      registers,
    })
    this.#changes = new Counter({
      name: `${prefix}_changes_total`,
      help: 'Changes that the source reported, by event: updated, deleted, unreadable. Ports with neutron-rpc, rows with ovn.',
      labelNames: ['directory', 'event'],
      registers,
    })
    this.#loads = new Counter({
      name: `${prefix}_loads_total`,
      help: 'Readings of the source, by outcome: loaded (as a whole), resumed (what had changed), refused (not usable).',
      labelNames: ['directory', 'outcome'],
      registers,
    })
  }

  /** Adds the gauges, which are read off the directory whenever the metrics are read. */
  watch(
    source: Pick<PortDirectory, 'isConfirmed' | 'readiness'>,
    held: () => { readonly ports: Count; readonly networks: Count },
  ): void {
    const { directory } = this
    const gauge = (name: string, help: string, value: () => number): void => {
      const made: Gauge<'directory'> = new Gauge({
        name: `${prefix}_${name}`,
        help,
        labelNames: ['directory'],
        registers: [this.#registry],
        collect: () => made.set({ directory }, value()),
      })
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
