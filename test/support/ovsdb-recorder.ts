import { OvsdbClient, type OvsdbState } from '../../lib/ovsdb/client.ts'
import type { OvsdbClientOptions } from '../../lib/ovsdb/client-options.ts'
import type { CopyBuilder, MonitorConsumer, MonitorSpec } from '../../lib/ovsdb/monitor.ts'
import { applySetDiff } from '../../lib/ovsdb/row-diff.ts'
import { readStringSet } from '../../lib/ovsdb/notation.ts'
import type { RowChange } from '../../lib/ovsdb/table-updates.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { silentLogger } from '../../lib/runtime/log.ts'

/** Keeps names and sets of table T, and counts how they came. */
export class OvsdbRecorder implements MonitorConsumer {
  rows = new Map<string, { name: string; mac: readonly string[] }>()
  copies = 0
  updates = 0
  /** Makes the next update fail in the middle, as a defect would. */
  failNext = false

  startCopy(): CopyBuilder {
    const rows = new Map<string, { name: string; mac: readonly string[] }>()
    return {
      add: (change) => take(rows, change),
      finish: () => {
        this.rows = rows
        this.copies += 1
      },
    }
  }

  apply(changes: readonly RowChange[]): void {
    for (const change of changes) {
      take(this.rows, change)
      if (this.failNext) {
        this.failNext = false
        throw new Error('a defect')
      }
    }
    this.updates += 1
  }

  get names(): readonly string[] {
    return [...this.rows.values()].map(({ name }) => name).sort()
  }
}

function take(rows: OvsdbRecorder['rows'], change: RowChange): void {
  if (change.kind === 'delete') {
    rows.delete(change.uuid)
    return
  }
  const { name, mac } = change.row
  const before = rows.get(change.uuid) ?? { name: '', mac: [] }
  const macs = mac === undefined ? [] : readStringSet(mac)
  rows.set(change.uuid, {
    name: typeof name === 'string' ? name : before.name,
    mac: change.kind === 'modify' ? applySetDiff(before.mac, macs) : macs,
  })
}

/** A client that retries without pause, with one monitor: of table T, or of what `monitored` says at the moment. */
export function recordingClient(
  options: Pick<OvsdbClientOptions, 'endpoints'> & Partial<OvsdbClientOptions>,
  monitored: Pick<MonitorSpec, 'tables' | 'older'> = {
    tables: { T: { columns: ['name', 'mac'] } },
  },
): { client: OvsdbClient; recorder: OvsdbRecorder; states: OvsdbState[] } {
  const recorder = new OvsdbRecorder()
  const client = new OvsdbClient({
    database: 'OVN_Southbound',
    leaderOnly: true,
    clock: systemClock,
    logger: silentLogger,
    random: () => 0,
    limits: {
      connect: 5_000,
      copy: 30_000,
      answer: 5_000,
      probeInterval: 5_000,
      probeTimeout: 60_000,
      retryFirst: 1_000,
      retryLongest: 10_000,
      messageBytes: 1024 * 1024,
    },
    ...options,
  })
  client.addMonitor({
    name: 'recorder',
    database: options.database ?? 'OVN_Southbound',
    get tables() {
      return monitored.tables
    },
    ...(monitored.older && { older: monitored.older }),
    consumer: recorder,
  })
  const states: OvsdbState[] = []
  client.onState((state) => states.push(state))
  return { client, recorder, states }
}
