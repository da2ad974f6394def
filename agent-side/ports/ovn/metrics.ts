import { Counter, Gauge, metricNamespace, type Registry } from '../../../lib/observe/metrics.ts'
import type { CopyKind } from '../../../lib/ovsdb/monitor.ts'
import type { SouthboundCopy } from './southbound-copy.ts'

/** What the directory tells of its copy and its session. */
export interface OvnMetrics {
  /** Has figures read off whenever they are asked for: of the copy, and whether a server keeps it in step. */
  watch(copy: () => SouthboundCopy | undefined, isConfirmed: () => boolean): void
  connected(copy: CopyKind): void
  rowsChanged(count: number): void
  refused(): void
  reported(outcome: 'written' | 'failed'): void
}

const prefix = `${metricNamespace}_ovn`

/** Makes the metrics of an `ovn` directory in a registry, which must not have them yet. */
export function createOvnMetrics(registry: Registry): OvnMetrics {
  const registers = [registry]
  let copyNow: () => SouthboundCopy | undefined = () => undefined
  let isConfirmedNow = (): boolean => false
  const connected = new Gauge({
    name: `${prefix}_connected_servers`,
    help: '1 while a southbound server keeps the copy in step, 0 otherwise.',
    registers: [],
    collect() {
      this.set(isConfirmedNow() ? 1 : 0)
    },
  })
  registry.registerMetric(connected)
  const copies = new Counter({
    name: `${prefix}_copies_total`,
    help: 'Sessions that began with a full copy, or resumed with what had changed meanwhile.',
    labelNames: ['kind'] as const,
    registers,
  })
  const changes = new Counter({
    name: `${prefix}_row_changes_total`,
    help: 'Rows that the southbound database told to be new, changed or gone.',
    registers,
  })
  const refusals = new Counter({
    name: `${prefix}_refused_questions_total`,
    help: 'Questions refused because the copy was incomplete, or not confirmed.',
    registers,
  })
  const reports = new Counter({
    name: `${prefix}_agent_reports_total`,
    help: 'Reports to Neutron that the metadata agent lives, by outcome.',
    labelNames: ['outcome'] as const,
    registers,
  })
  registerCopyGauges(registry, () => copyNow())
  return {
    watch(copy, isConfirmed) {
      copyNow = copy
      isConfirmedNow = isConfirmed
    },
    connected: (kind) => copies.inc({ kind }),
    rowsChanged: (count) => changes.inc(count),
    refused: () => refusals.inc(),
    reported: (outcome) => reports.inc({ outcome }),
  }
}

/** Gauges that are read off the copy when somebody looks, so that taking in rows costs nothing for them. */
function registerCopyGauges(registry: Registry, copy: () => SouthboundCopy | undefined): void {
  const registers: Registry[] = []
  const ports = new Gauge({
    name: `${prefix}_ports`,
    help: 'Neutron ports in the copy.',
    registers,
    collect() {
      this.set(copy()?.portCount ?? 0)
    },
  })
  const networks = new Gauge({
    name: `${prefix}_networks`,
    help: 'Neutron networks in the copy.',
    registers,
    collect() {
      this.set(copy()?.networkCount ?? 0)
    },
  })
  const skipped = new Gauge({
    name: `${prefix}_skipped_rows`,
    help: 'Rows of Port_Binding that are no Neutron port, by reason.',
    labelNames: ['reason'] as const,
    registers,
    collect() {
      for (const [reason, count] of copy()?.noPorts ?? []) this.set({ reason }, count)
    },
  })
  registry.registerMetric(ports)
  registry.registerMetric(networks)
  registry.registerMetric(skipped)
}
