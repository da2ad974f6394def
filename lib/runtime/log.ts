import pino from 'pino'
import { LogDestination, standardOutputSink } from './log-destination.ts'

/** Fields beside a static message. Names are the field's words in camelCase; `requestId` wherever there is one. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * How code reports to the operator. The message is static, so that equal events can be counted; what varies goes
 * into the fields.
 */
export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  child(fields: LogFields): Logger
  isLevelEnabled(level: LogLevel): boolean
}

/** How much is logged; each level includes those after it. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

export interface LogOptions {
  /** Which process speaks: `proxy`, `worker`, `agent`, … */
  readonly component: string
  readonly level: LogLevel
  /** Where lines go; standard output unless a test or the demo wants them elsewhere. */
  readonly destination?: { write(line: string): void }
}

/** The last net under secrets and user data: whatever slips into a field of these names is not printed. */
const redactedPaths = [
  'secret',
  'password',
  'signature',
  'authorization',
  'token',
  'userData',
].flatMap((name) => [name, `*.${name}`])

/** Makes the process's logger: one JSON object a line, levels as words, times in ISO 8601. */
export function createLogger(options: LogOptions): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { component: options.component, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: redactedPaths, censor: '[redacted]' },
    messageKey: 'message',
  }
  return pino(settings, options.destination ?? standardOutput(options.component))
}

function standardOutput(component: string): LogDestination {
  const gapLine = (lines: number, cause: string): string =>
    `${JSON.stringify({
      level: 'warn',
      time: new Date().toISOString(),
      component,
      pid: process.pid,
      lines,
      cause,
      message: 'Log lines are missing here: the log could not be written',
    })}\n`
  return new LogDestination(standardOutputSink(), gapLine)
}

const silence = (): void => undefined

/** A logger that writes nothing, for parts that are used without a process around them. */
export const silentLogger: Logger = {
  debug: silence,
  info: silence,
  warn: silence,
  error: silence,
  child: () => silentLogger,
  isLevelEnabled: () => false,
}
