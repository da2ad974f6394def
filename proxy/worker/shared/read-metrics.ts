/** Which metrics may a worker report? Those that its program has, with the labels that its program gives them, and no others. */
import { isReasonCode } from '../../../lib/runtime/reason-codes.ts'
import type { MetricJson, MetricValue } from './metric-json.ts'
import { WorkerMetrics } from './metrics.ts'

/** Places of agents in the configuration. */
const agentPlace = /^\d{1,2}$/

/**
 * Reads the metrics that a worker reports. Names, help and types are taken from our own program, and of the worker only the numbers.
 * @returns `undefined` when anything in it is none of {@link WorkerMetrics.toJson}
 */
export function readWorkerMetrics(value: unknown): readonly MetricJson[] | undefined {
  const known = new Map(new WorkerMetrics().toJson().map((metric) => [metric.name, metric]))
  if (!Array.isArray(value) || value.length > known.size) return undefined
  const read: MetricJson[] = []
  for (const one of value as readonly unknown[]) {
    const { name, values } = fieldsOf(one)
    const metric = typeof name === 'string' ? known.get(name) : undefined
    if (metric === undefined || !Array.isArray(values)) return undefined
    known.delete(metric.name)
    const numbers = readValues(values, metric)
    if (numbers === undefined) return undefined
    read.push({ ...metric, values: numbers })
  }
  return read
}

function readValues(
  given: readonly unknown[],
  { values }: MetricJson,
): readonly MetricValue[] | undefined {
  const expected = new Map(values.map((one) => [seriesOf(one), one]))
  const read = new Map<string, MetricValue>()
  for (const one of given) {
    const { labels, value, metricName } = fieldsOf(one)
    if (typeof value !== 'number' || !(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) {
      return undefined
    }
    const series = seriesOf({ labels: fieldsOf(labels), metricName })
    const known = expected.get(series) ?? (values.length === 0 ? openSeries(labels) : undefined)
    if (known === undefined || read.has(series)) return undefined
    read.set(series, { ...known, value })
  }
  return [...read.values()]
}

/** A series of a metric that has none to begin with: by reason, or by the place of an agent. */
function openSeries(given: unknown): MetricValue | undefined {
  const [[label, text] = [], ...others] = Object.entries(fieldsOf(given))
  if (label === undefined || typeof text !== 'string' || others.length > 0) return undefined
  const isKnown =
    label === 'reason' ? isReasonCode(text) : label === 'agent' && agentPlace.test(text)
  return isKnown ? { labels: { [label]: text }, value: 0 } : undefined
}

function seriesOf({
  labels,
  metricName,
}: {
  readonly labels: Readonly<Record<string, unknown>>
  readonly metricName?: unknown
}): string {
  return JSON.stringify([metricName ?? null, Object.entries(labels)])
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)
    : {}
}
