import type { Clock } from '../../lib/runtime/clock.ts'
import type { PortDirectory } from '../../agent-side/ports/directory/port-directory.ts'
import type { Topology } from './topology.ts'

/** How one kind of directory is put before the suite. */
export interface PortDirectoryDriver {
  /** The directory's kind, for the names of the tests. */
  readonly name: string
  /** True when the source tells of changes: the suite then demands an event, and the right cached answer after it. */
  readonly pushes: boolean
  /** False when the source knows no routers; the suite then only demands that none is made up. */
  readonly routers: boolean
  /** False when it holds only what queries have named. @default true */
  readonly holdsAll?: boolean
  /**
   * Makes a source that holds the topology, and a directory for it that is not started. With `cutOff` the source
   * cannot be asked until {@link DirectoryUnderTest.restore}.
   */
  open(topology: Topology, options?: { readonly cutOff: boolean }): Promise<DirectoryUnderTest>
}

export interface DirectoryUnderTest {
  readonly directory: PortDirectory
  /** The clock the directory was given. */
  readonly clock: Clock
  /** Makes the source hold exactly this from now on; for a pushing source that includes telling. */
  setTopology(topology: Topology): Promise<void>
  /** From now on the source cannot be asked: gone, broken or unreadable. */
  cutOff(): Promise<void>
  restore(): Promise<void>
  /**
   * Resolves once the directory must know what the source holds: waits for its reload or reconnect, or turns the
   * clock by its documented bound. Only while the source can be asked.
   */
  settled(): Promise<void>
  /** Closes the source; the suite has closed the directory. */
  close(): Promise<void>
}
