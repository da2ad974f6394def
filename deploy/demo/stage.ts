import type { DemoPlaces } from './documents.ts'
import type { DemoGuest, DemoTopology } from './topology.ts'
import type { AskGuest, GuestQuestion } from './visits.ts'

/** A built demo: networks, guests and the three daemons, wherever they could be had. */
export interface Stage {
  readonly kind: 'namespaces' | 'loopback'
  /** Worth telling the person who looks: rootless, why only loopback, who the workers run as. */
  readonly notes: readonly string[]
  readonly topology: DemoTopology
  readonly places: DemoPlaces
  /** Process ids by what they are. */
  readonly pids: Readonly<Record<string, number>>
  /** Where each guest asks, the address of its own that it asks from included; IPv4 first. */
  readonly questionsOf: (guest: DemoGuest) => readonly GuestQuestion[]
  readonly ask: AskGuest
  /** Resolves when a daemon ends by itself, with what is known of that. */
  readonly failed: Promise<string>
  /** Stops the daemons and removes everything that was made. */
  close(): Promise<void>
}
