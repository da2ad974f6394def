/** Which chassis has a port of which datapath? For central agents that grant each host the networks of its guests. */
import type { Count } from '../../../lib/runtime/clock.ts'
import type { OvsdbClient } from '../../../lib/ovsdb/client.ts'
import type { CopyBuilder, MonitorConsumer } from '../../../lib/ovsdb/monitor.ts'
import { readUuid, readUuidSet, type Row } from '../../../lib/ovsdb/notation.ts'
import { OvsdbError } from '../../../lib/ovsdb/ovsdb-error.ts'
import { RowCopy } from '../../../lib/ovsdb/row-copy.ts'
import { applySetDiff } from '../../../lib/ovsdb/row-diff.ts'
import type { RowChange } from '../../../lib/ovsdb/table-updates.ts'
import { RowSlots } from './row-slots.ts'

const database = 'OVN_Southbound'
const columns = ['datapath', 'chassis']
const hosts = { Chassis: { name: 'text', hostname: 'text' } } as const

/** Kept in step by monitors of its own, since other agents have no use for an update of each binding. */
export class ChassisBindings implements MonitorConsumer {
  readonly #hosts: RowCopy<typeof hosts>
  /** UUIDs of chassis by name and by hostname, in lower case; made when they are looked up after a change. */
  #named: ReadonlyMap<string, ReadonlySet<string>> | undefined
  #copy = new BindingsCopy()

  constructor(client: Pick<OvsdbClient, 'addMonitor'>) {
    this.#hosts = new RowCopy(hosts, () => {
      this.#named = undefined
    })
    client.addMonitor({
      name: 'hosts',
      database,
      tables: { Chassis: { columns: Object.keys(hosts.Chassis) } },
      consumer: this.#hosts,
    })
    client.addMonitor({
      name: 'bindings',
      database,
      tables: { Port_Binding: { columns: [...columns, 'additional_chassis'] } },
      older: { Port_Binding: { columns } },
      consumer: this,
    })
  }

  /**
   * Whether a port of one of the datapaths is bound to a host, or is migrating to it.
   * @param host name or hostname of its chassis; one that several chassis have counts for none of them
   */
  isBound(host: string, datapaths: readonly string[]): boolean {
    this.#named ??= namesOf(this.#hosts.rows('Chassis'))
    const [chassis, other] = this.#named.get(host.toLowerCase()) ?? []
    if (chassis === undefined || other !== undefined) return false
    return datapaths.some((datapath) => this.#copy.has(chassis, datapath))
  }

  /** Called by the client. */
  startCopy(): CopyBuilder {
    const copy = new BindingsCopy()
    return {
      add: (change) => copy.apply(change),
      finish: () => {
        this.#copy = copy
      },
    }
  }

  /** Called by the client. */
  apply(changes: readonly RowChange[]): void {
    for (const change of changes) this.#copy.apply(change)
  }
}

function namesOf(
  rows: ReadonlyMap<string, { readonly name: string; readonly hostname: string }>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const named = new Map<string, Set<string>>()
  for (const [uuid, { name, hostname }] of rows) {
    for (const each of [name, hostname]) {
      const key = each.toLowerCase()
      if (key !== '') named.set(key, (named.get(key) ?? new Set()).add(uuid))
    }
  }
  return named
}

/** Where a row of Port_Binding has its port. */
interface Binding {
  readonly datapath: string
  /** None or one. */
  readonly chassis: readonly string[]
  /** Where a port also is while its guest migrates. OVN before 22.06 has no such column. */
  readonly additional: readonly string[]
}

const nowhere: readonly string[] = []
/** More datapaths and chassis than most clouds have at one time. Those that are gone must not be kept for ever. */
const mostShared: Count = 100_000

/** One complete copy of the bindings. */
class BindingsCopy {
  readonly #bindings = new RowSlots<Binding>()
  /** Ports by chassis and datapath. */
  readonly #ports = new Map<string, Map<string, Count>>()
  /** Each datapath and chassis once, as a list of one: every row brings a text of its own. */
  readonly #shared = new Map<string, readonly [string]>()

  has(chassis: string, datapath: string): boolean {
    return this.#ports.get(chassis)?.has(datapath) === true
  }

  /** @throws OvsdbError `protocol` for a row that cannot be read, or a difference to one that is not there */
  apply(change: RowChange): void {
    const { uuid } = change
    const slot = this.#bindings.slotOf(uuid)
    const before = slot === undefined ? undefined : this.#bindings.at(slot)
    const after = change.kind === 'delete' ? undefined : this.#read(change, before)
    this.#count(before, -1)
    this.#count(after, 1)
    if (slot === undefined) {
      if (after !== undefined) this.#bindings.add(uuid, after)
    } else if (after === undefined) this.#bindings.remove(slot)
    else this.#bindings.replace(slot, after)
  }

  #read({ kind, row }: RowChange & { readonly row: Row }, before: Binding | undefined): Binding {
    if (kind === 'put') return this.#share(bindingAfter(row, unbound))
    if (before !== undefined) return this.#share(bindingAfter(row, before))
    throw new OvsdbError('protocol', 'A difference came for a row that is not in the copy')
  }

  #count(binding: Binding | undefined, change: 1 | -1): void {
    if (binding === undefined) return
    const { datapath, chassis, additional } = binding
    for (const place of new Set([...chassis, ...additional])) {
      const ports = this.#ports.get(place) ?? new Map<string, Count>()
      const count = (ports.get(datapath) ?? 0) + change
      if (count > 0) ports.set(datapath, count)
      else ports.delete(datapath)
      if (ports.size > 0) this.#ports.set(place, ports)
      else this.#ports.delete(place)
    }
  }

  #share({ datapath, chassis, additional }: Binding): Binding {
    const list = (uuids: readonly string[]): readonly string[] => {
      const [uuid, other] = uuids
      if (uuid === undefined) return nowhere
      return other === undefined ? this.#one(uuid) : uuids
    }
    return {
      datapath: this.#one(datapath)[0],
      chassis: list(chassis),
      additional: list(additional),
    }
  }

  #one(uuid: string): readonly [string] {
    const known = this.#shared.get(uuid)
    if (known !== undefined) return known
    const made = [uuid] as const
    if (this.#shared.size >= mostShared) this.#shared.clear()
    this.#shared.set(uuid, made)
    return made
  }
}

const unbound: Binding = { datapath: '', chassis: nowhere, additional: nowhere }

/** A whole row is its difference to an empty one. */
function bindingAfter(row: Row, before: Binding): Binding {
  const { datapath, chassis, additional_chassis: additional } = row
  return {
    datapath: datapath === undefined ? before.datapath : readUuid(datapath),
    // The difference of a set of at most one is the new value.
    chassis: chassis === undefined ? before.chassis : readUuidSet(chassis),
    additional:
      additional === undefined
        ? before.additional
        : applySetDiff(before.additional, readUuidSet(additional)),
  }
}
