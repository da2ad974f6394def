import type { DemoPlaces } from './documents.ts'
import type { DemoGuest, DemoTopology } from './topology.ts'
import type { FetchAsGuest, GuestRequest } from './guest-checks.ts'

/** A built demo: networks, guests and the three daemons, wherever they could be had. */
export interface DemoEnvironment {
  readonly kind: 'namespaces' | 'loopback'
  /** Who can send a guest's request from another terminal: no user, where the namespaces lie in a user namespace of the demo. */
  readonly guestAccess: 'any-user' | 'root' | 'none'
  /** Notes for the reader: rootless, why only loopback, who the workers run as. */
  readonly notes: readonly string[]
  readonly topology: DemoTopology
  readonly places: DemoPlaces
  /** Process ids by what they are. */
  readonly pids: Readonly<Record<string, number>>
  /** Where each guest sends its requests, and from which address of its own; IPv4 first. */
  readonly requestsOf: (guest: DemoGuest) => readonly GuestRequest[]
  readonly fetch: FetchAsGuest
  /** Resolves when a daemon ends by itself, with what is known of that. */
  readonly failed: Promise<string>
  /** Stops the daemons and removes everything that was made. */
  close(): Promise<void>
}
