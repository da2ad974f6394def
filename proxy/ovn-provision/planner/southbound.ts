/** What does OVN hold for this host? A copy of the few rows of the southbound database that concern it. */
import { OvsdbClient, type OvsdbState } from '../../../lib/ovsdb/client.ts'
import type { OvsdbClientOptions } from '../../../lib/ovsdb/client-options.ts'
import type { MonitoredTables } from '../../../lib/ovsdb/monitor.ts'
import { RowCopy } from '../../../lib/ovsdb/row-copy.ts'
import { southboundColumns, type SouthboundRows } from './southbound-rows.ts'

const database = 'OVN_Southbound'

const chassisColumns = { Chassis: { name: 'text' } } as const

/**
 * Keeps the rows of the ports that are bound to this host or on their way to it, of all metadata ports, and of all networks. The server
 * leaves the others out, so that a host's copy does not grow with the cloud; to select that it must know the host's
 * row of Chassis first. When that row is another one, everything is read again.
 */
export class Southbound {
  readonly #client: OvsdbClient
  readonly #chassis = new RowCopy(chassisColumns, () => this.#chassisChanged())
  readonly #bindings = new RowCopy(southboundColumns, () => this.#copied())
  readonly #changed: () => void
  #name: string | undefined
  /** The row that the bindings were selected for, and that the copy in use is for; `''` stands for none. */
  #selectedFor: string | undefined
  #copiedFor: string | undefined

  constructor(options: Omit<OvsdbClientOptions, 'database'>, changed: () => void) {
    this.#changed = changed
    this.#client = new OvsdbClient({ ...options, database })
    const ownName = (): string => this.#name ?? ''
    const bindings = (columns: readonly string[]): MonitoredTables => this.#bindingsOf(columns)
    const { additional_chassis: _, ...olderColumns } = southboundColumns.Port_Binding
    this.#client.addMonitor({
      name: 'chassis',
      database,
      get tables() {
        return { Chassis: { columns: ['name'], where: [['name', '==', ownName()]] } }
      },
      consumer: this.#chassis,
    })
    this.#client.addMonitor({
      name: 'bindings',
      database,
      get tables() {
        return bindings(Object.keys(southboundColumns.Port_Binding))
      },
      // Before OVN 22.06 a port was on one host alone.
      get older() {
        return bindings(Object.keys(olderColumns))
      },
      consumer: this.#bindings,
    })
    this.#client.onState(() => this.#chassisChanged())
  }

  /** Sets the chassis of this host; the first call connects. */
  follow(name: string): void {
    if (name === this.#name) return
    this.#name = name
    this.#client.start()
    this.#client.renew()
  }

  get state(): OvsdbState {
    return this.#client.state
  }

  /** Whether ovn-controller has registered this host; `false` also while that is not known. */
  get isRegistered(): boolean {
    return this.#rowOfChassis() !== ''
  }

  /** @returns `undefined` while there is no complete copy of what concerns this host's row of Chassis */
  get rows(): SouthboundRows | undefined {
    const chassis = this.#rowOfChassis()
    if (chassis === '' || chassis !== this.#copiedFor) return undefined
    return {
      chassis,
      ports: this.#bindings.rows('Port_Binding').values(),
      datapaths: this.#bindings.rows('Datapath_Binding'),
    }
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  #rowOfChassis(): string {
    // Servers that know no conditions send all.
    const own = [...this.#chassis.rows('Chassis')].find(([, { name }]) => name === this.#name)
    return own?.[0] ?? ''
  }

  #bindingsOf(columns: readonly string[]): MonitoredTables {
    const chassis = this.#rowOfChassis()
    this.#selectedFor = chassis
    const own = ['uuid', chassis]
    const here = [
      ['chassis', '==', own],
      ...(columns.includes('additional_chassis') ? [['additional_chassis', 'includes', own]] : []),
    ]
    return {
      Port_Binding: {
        columns,
        where: [['type', '==', 'localport'], ...(chassis === '' ? [] : here)],
      },
      Datapath_Binding: { columns: Object.keys(southboundColumns.Datapath_Binding) },
    }
  }

  #chassisChanged(): void {
    const isAnother = this.#selectedFor !== undefined && this.#selectedFor !== this.#rowOfChassis()
    if (isAnother && this.#client.state.kind === 'live') this.#client.renew()
    this.#changed()
  }

  #copied(): void {
    this.#copiedFor = this.#selectedFor
    this.#changed()
  }
}
