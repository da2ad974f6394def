import { OvsdbClient } from '../../../lib/ovsdb/client.ts'
import type { OvsdbClientOptions } from '../../../lib/ovsdb/client-options.ts'
import type { CopyBuilder, MonitorConsumer } from '../../../lib/ovsdb/monitor.ts'
import { readStringMap, type Row } from '../../../lib/ovsdb/notation.ts'
import { applyMapDiff } from '../../../lib/ovsdb/row-diff.ts'
import type { RowChange } from '../../../lib/ovsdb/table-updates.ts'

/** What the local Open vSwitch holds about this host's place in OVN. */
export interface ChassisIdentity {
  /** Name of the chassis: `external_ids:system-id`. */
  readonly chassis: string | undefined
  /** Integration bridge: `external_ids:ovn-bridge`. */
  readonly bridge: string
}

const defaultBridge = 'br-int'
type LocalIds = { readonly systemId?: string | undefined; readonly bridge?: string | undefined }

function idsOf(row: Row): ReadonlyMap<string, string> {
  const ids = row['external_ids']
  return new Map(ids === undefined ? [] : readStringMap(ids))
}

function modified(before: string | undefined, difference: string | undefined): string | undefined {
  return difference === undefined ? before : applyMapDiff(before, difference)
}

/** Follows the one row of table Open_vSwitch in the local database. @see ovn-controller(8) */
export class LocalChassis implements MonitorConsumer {
  readonly #client: OvsdbClient
  readonly #changed: () => void
  #ids: LocalIds = {}

  constructor(options: Omit<OvsdbClientOptions, 'database' | 'leaderOnly'>, changed: () => void) {
    this.#changed = changed
    const database = 'Open_vSwitch'
    this.#client = new OvsdbClient({ ...options, database, leaderOnly: false })
    this.#client.addMonitor({
      name: 'local',
      database,
      tables: { Open_vSwitch: { columns: ['external_ids'] } },
      consumer: this,
    })
  }

  get identity(): ChassisIdentity {
    return { chassis: this.#ids.systemId, bridge: this.#ids.bridge ?? defaultBridge }
  }

  start(): void {
    this.#client.start()
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  /** Called by the client. */
  startCopy(): CopyBuilder {
    const rows: RowChange[] = []
    return {
      add: (change) => rows.push(change),
      finish: () => {
        this.#ids = {}
        this.apply(rows)
      },
    }
  }

  /** Called by the client. */
  apply(changes: readonly RowChange[]): void {
    for (const change of changes) {
      if (change.kind === 'delete') {
        this.#ids = {}
        continue
      }
      const ids = idsOf(change.row)
      const [systemId, bridge] = [ids.get('system-id'), ids.get('ovn-bridge')]
      this.#ids =
        change.kind === 'put'
          ? { systemId, bridge }
          : {
              systemId: modified(this.#ids.systemId, systemId),
              bridge: modified(this.#ids.bridge, bridge),
            }
    }
    this.#changed()
  }
}
