import { causeText } from '../../../lib/runtime/errors.ts'

/** Fields for the log line of something that was thrown and should not have been. */
export function describeDefect(cause: unknown): Record<string, unknown> {
  return {
    cause: causeText(cause),
    stack: cause instanceof Error ? cause.stack : undefined,
    action: 'This is a defect of overlapd. Please report it with this line.',
  }
}
