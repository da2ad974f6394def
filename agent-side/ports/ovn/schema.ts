import {
  readString,
  readStringMap,
  readStringSet,
  readUuid,
  type Row,
} from '../../../lib/ovsdb/notation.ts'
import type { MonitoredTable } from '../../../lib/ovsdb/monitor.ts'
import { applyMapDiff, applySetDiff } from '../../../lib/ovsdb/row-diff.ts'

/**
 * What is copied of OVN's southbound database. No chassis column: where a port is bound, and to how many hosts during a
 * live migration, does not change whose it is, and each binding would be an update to every agent. `chassis-bindings.ts` has them.
 * @see ovn-sb(5)
 */
export const southboundTables = {
  Datapath_Binding: { columns: ['external_ids'] },
  Port_Binding: { columns: ['logical_port', 'type', 'mac', 'external_ids', 'datapath'] },
} as const satisfies Readonly<Record<string, MonitoredTable>>

/**
 * A row of Port_Binding with the values as they came, so that differences can be applied to them. Of `external_ids` only
 * the keys that Neutron's driver sets and identity needs.
 */
export interface PortBinding {
  readonly logicalPort: string
  /** `''` for a VIF, `localport`, `external`, `virtual`, `patch`, … */
  readonly type: string
  /** One string is kept bare, since nearly every row has one: it saves 56 bytes a port. */
  readonly mac: string | readonly string[]
  /** UUID of the row of Datapath_Binding. */
  readonly datapath: string
  readonly cidrs: string | undefined
  readonly deviceId: string | undefined
  readonly deviceOwner: string | undefined
  readonly projectId: string | undefined
}

const keysOfPort: ReadonlyMap<string, 'cidrs' | 'deviceId' | 'deviceOwner' | 'projectId'> = new Map(
  [
    ['neutron:cidrs', 'cidrs'],
    ['neutron:device_id', 'deviceId'],
    ['neutron:device_owner', 'deviceOwner'],
    ['neutron:project_id', 'projectId'],
  ],
)

/** The strings of the `mac` column, in no order. */
export function macStrings(binding: PortBinding): readonly string[] {
  return typeof binding.mac === 'string' ? [binding.mac] : binding.mac
}

function packed(macs: readonly string[]): string | readonly string[] {
  const [only] = macs
  return macs.length === 1 && only !== undefined ? only : macs
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

function emptyPortBinding(): Mutable<PortBinding> {
  return {
    logicalPort: '',
    type: '',
    mac: [],
    datapath: '',
    cidrs: undefined,
    deviceId: undefined,
    deviceOwner: undefined,
    projectId: undefined,
  }
}

/** @throws OvsdbError `protocol` when a column has another type than in ovn-sb(5) */
export function readPortBinding(row: Row): PortBinding {
  const binding = emptyPortBinding()
  const { logical_port: logicalPort, type, mac, external_ids: ids, datapath } = row
  if (logicalPort !== undefined) binding.logicalPort = readString(logicalPort)
  if (type !== undefined) binding.type = readString(type)
  if (mac !== undefined) binding.mac = packed(readStringSet(mac))
  if (datapath !== undefined) binding.datapath = readUuid(datapath)
  if (ids === undefined) return binding
  for (const [name, value] of readStringMap(ids)) {
    const key = keysOfPort.get(name)
    if (key !== undefined) binding[key] = value
  }
  return binding
}

/** Applies a difference. @returns the same object when nothing that we keep changed */
export function modifyPortBinding(before: PortBinding, difference: Row): PortBinding {
  const after: Mutable<PortBinding> = { ...before }
  const { logical_port: logicalPort, type, mac, external_ids: ids, datapath } = difference
  if (logicalPort !== undefined) after.logicalPort = readString(logicalPort)
  if (type !== undefined) after.type = readString(type)
  if (mac !== undefined) after.mac = packed(applySetDiff(macStrings(before), readStringSet(mac)))
  if (datapath !== undefined) after.datapath = readUuid(datapath)
  let isChanged = [logicalPort, type, mac, datapath].some((column) => column !== undefined)
  for (const [name, value] of ids === undefined ? [] : readStringMap(ids)) {
    const key = keysOfPort.get(name)
    if (key === undefined) continue
    after[key] = applyMapDiff(before[key], value)
    isChanged = true
  }
  return isChanged ? after : before
}

/** A row of Datapath_Binding: a logical switch is a Neutron network, a logical router a Neutron router. */
export interface DatapathBinding {
  readonly name: string | undefined
  /** UUID in the northbound database; present for a switch. */
  readonly logicalSwitch: string | undefined
}

const keysOfDatapath: ReadonlyMap<string, 'name' | 'logicalSwitch'> = new Map([
  ['name', 'name'],
  ['logical-switch', 'logicalSwitch'],
])

/** @throws OvsdbError `protocol` when a column has another type than in ovn-sb(5) */
export function readDatapathBinding(row: Row): DatapathBinding {
  const binding: Mutable<DatapathBinding> = { name: undefined, logicalSwitch: undefined }
  const ids = row['external_ids']
  for (const [name, value] of ids === undefined ? [] : readStringMap(ids)) {
    const key = keysOfDatapath.get(name)
    if (key !== undefined) binding[key] = value
  }
  return binding
}

/** Applies a difference. @throws OvsdbError `protocol` as for a whole row */
export function modifyDatapathBinding(before: DatapathBinding, difference: Row): DatapathBinding {
  const after: Mutable<DatapathBinding> = { ...before }
  const ids = difference['external_ids']
  for (const [name, value] of ids === undefined ? [] : readStringMap(ids)) {
    const key = keysOfDatapath.get(name)
    if (key !== undefined) after[key] = applyMapDiff(before[key], value)
  }
  return after
}
