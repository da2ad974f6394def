/** How do tests get the health of a daemon that they play? */
import {
  healthReport,
  partHealth,
  problemOf,
  type HealthReport,
} from '../../lib/operator/health.ts'

/** A part, as short as a test wants to write it. */
export interface MadePart {
  readonly name: string
  readonly ready: boolean
  readonly detail: string
}

/** The health of a daemon with such parts; each that is not ready is a directory that is not. */
export function madeHealth(parts: readonly MadePart[] = []): HealthReport {
  return healthReport(
    parts.map(({ name, ready, detail }) =>
      partHealth(name, detail, problemOf('directory_not_ready', [ready ? 0 : 1, 1], detail)),
    ),
    {},
    () => '2026-01-02T03:04:05.678Z',
  )
}
