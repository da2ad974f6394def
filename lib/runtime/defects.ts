import { causeText } from './errors.ts'

/** Fields for the log line of something that was thrown and should not have been. */
export function describeDefect(cause: unknown): Record<string, unknown> {
  return {
    cause: causeText(cause),
    stack: cause instanceof Error ? cause.stack : undefined,
    action: 'This is a defect of overlapd. Please report it with this line.',
  }
}

/** What reports uncaught exceptions: the process, or a test. */
type ExceptionSource = Pick<NodeJS.EventEmitter, 'on'>

/**
 * Takes what was not caught, as the last resort: without it a defect ends the process in the middle of every other request. What is
 * still right after one is not known, so whoever calls ends the process in order and lets another one be started.
 * @param report is given each of them
 * @returns when the first has come
 */
export function uncaught(
  report: (fields: Record<string, unknown>) => void,
  source: ExceptionSource = process,
): Promise<void> {
  return new Promise((resolve) => {
    const take = (cause: unknown): void => {
      report(describeDefect(cause))
      resolve()
    }
    source.on('uncaughtException', take)
    source.on('unhandledRejection', take)
  })
}
