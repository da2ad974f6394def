/** One measurement of a fleet. What was not measured is null. */
export interface FleetRow {
  readonly name: string
  readonly portsInCloud: number
  readonly networksOnHost: number
  readonly hosts: number
  readonly firstCopyBytes: number | null
  readonly heldBytes: number | null
  readonly idleBytesPerSecond: number | null
  readonly secondsToReady: number | null
  readonly serverCpuSeconds: number | null
  readonly serverMemoryMiB: number | null
  /** Where a figure is calculated: from what. */
  readonly note?: string
}

/** A row with nothing measured but what is given. */
export function fleetRow(
  given: Partial<FleetRow> & Pick<FleetRow, 'name' | 'portsInCloud' | 'networksOnHost' | 'hosts'>,
): FleetRow {
  return {
    firstCopyBytes: null,
    heldBytes: null,
    idleBytesPerSecond: null,
    secondsToReady: null,
    serverCpuSeconds: null,
    serverMemoryMiB: null,
    ...given,
  }
}
