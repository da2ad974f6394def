import { OvsdbClient } from '../../../lib/ovsdb/client.ts'
import type { OvsdbClientOptions } from '../../../lib/ovsdb/client-options.ts'
import { RowCopy } from '../../../lib/ovsdb/row-copy.ts'

/** What the local Open vSwitch holds about this host's place in OVN. */
export interface ChassisIdentity {
  /** Name of the chassis: `external_ids:system-id`. */
  readonly chassis: string | undefined
  /** Integration bridge: `external_ids:ovn-bridge`. */
  readonly bridge: string
}

const defaultBridge = 'br-int'
const localColumns = { Open_vSwitch: { external_ids: 'map' } } as const

/** Follows the one row of table Open_vSwitch in the local database. @see ovn-controller(8) */
export class LocalChassis {
  readonly #client: OvsdbClient
  readonly #copy: RowCopy<typeof localColumns>

  constructor(options: Omit<OvsdbClientOptions, 'database' | 'leaderOnly'>, changed: () => void) {
    this.#copy = new RowCopy(localColumns, changed)
    const database = 'Open_vSwitch'
    this.#client = new OvsdbClient({ ...options, database, leaderOnly: false })
    this.#client.addMonitor({
      name: 'local',
      database,
      tables: { Open_vSwitch: { columns: ['external_ids'] } },
      consumer: this.#copy,
    })
  }

  get identity(): ChassisIdentity {
    const [row] = this.#copy.rows('Open_vSwitch').values()
    const ids = row?.external_ids
    return { chassis: ids?.get('system-id'), bridge: ids?.get('ovn-bridge') ?? defaultBridge }
  }

  start(): void {
    this.#client.start()
  }

  async close(): Promise<void> {
    await this.#client.close()
  }
}
