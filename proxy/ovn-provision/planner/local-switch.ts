/** What does the Open vSwitch of this host hold, and how is a cable plugged in? */
import { OvsdbClient, type OvsdbState } from '../../../lib/ovsdb/client.ts'
import type { OvsdbClientOptions } from '../../../lib/ovsdb/client-options.ts'
import { RowCopy } from '../../../lib/ovsdb/row-copy.ts'
import { switchColumns, type SwitchRows } from './switch-rows.ts'

const database = 'Open_vSwitch'

/** The switch's side of a host's place in OVN. */
export interface SwitchIdentity {
  /** Name of the chassis: `external_ids:system-id`. */
  readonly chassis: string | undefined
  /** Where instances are plugged in: `external_ids:ovn-bridge`. */
  readonly bridge: string
  readonly hasBridge: boolean
  /** The bridge is in user space, where no device completes checksums. */
  readonly isUserspace: boolean
}

/** A copy of the local database, and transactions on it. */
export class LocalSwitch {
  readonly #client: OvsdbClient
  readonly #copy: RowCopy<typeof switchColumns>
  readonly #fallbackBridge: string

  constructor(
    options: Omit<OvsdbClientOptions, 'database' | 'leaderOnly'> & {
      readonly fallbackBridge: string
    },
    changed: () => void,
  ) {
    const { fallbackBridge, ...clientOptions } = options
    this.#fallbackBridge = fallbackBridge
    this.#copy = new RowCopy(switchColumns, changed)
    this.#client = new OvsdbClient({ ...clientOptions, database, leaderOnly: false })
    const tables = Object.fromEntries(
      Object.entries(switchColumns).map(([table, columns]) => [
        table,
        { columns: Object.keys(columns) },
      ]),
    )
    this.#client.addMonitor({ name: 'switch', database, tables, consumer: this.#copy })
    this.#client.onState(changed)
  }

  start(): void {
    this.#client.start()
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  get state(): OvsdbState {
    return this.#client.state
  }

  /** @returns `undefined` until there was a complete copy */
  get identity(): SwitchIdentity | undefined {
    if (!this.#copy.isComplete) return undefined
    const [row] = this.#copy.rows('Open_vSwitch').values()
    const name = row?.external_ids.get('ovn-bridge') ?? this.#fallbackBridge
    const bridge = [...this.#copy.rows('Bridge').values()].find((one) => one.name === name)
    return {
      chassis: row?.external_ids.get('system-id'),
      bridge: name,
      hasBridge: bridge !== undefined,
      isUserspace: bridge?.datapath_type === 'netdev',
    }
  }

  get rows(): SwitchRows {
    return {
      bridges: this.#copy.rows('Bridge'),
      ports: this.#copy.rows('Port'),
      interfaces: this.#copy.rows('Interface'),
    }
  }

  /** @throws OvsdbError when there is no session or the server refuses */
  async transact(operations: readonly unknown[]): Promise<void> {
    await this.#client.transact(operations)
  }
}
