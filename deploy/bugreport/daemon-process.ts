/** How was a running daemon started? */
import { readFileSync } from 'node:fs'
import { causeText } from '../../lib/runtime/errors.ts'

/** What `/proc` shows of a daemon. */
export interface DaemonProcess {
  /** What follows the name of the program. */
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Names, capabilities, memory and threads. */
  readonly status: string
}

/** @returns why it cannot be read, in words */
export function readDaemonProcess(pid: number): DaemonProcess | string {
  try {
    const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8')
    const words = read('cmdline').split('\0').slice(0, -1)
    const script = words.findIndex((word) => /(?:\/main\.js|overlapd-(?:proxy|agent))$/.test(word))
    const variables = read('environ').split('\0').filter(Boolean)
    const environment = Object.fromEntries(
      variables.map((variable): [string, string] => {
        const equals = variable.indexOf('=')
        return [variable.slice(0, equals), variable.slice(equals + 1)]
      }),
    )
    return {
      argv: script === -1 ? [] : words.slice(script + 1),
      environment,
      status: read('status'),
    }
  } catch (cause) {
    return causeText(cause)
  }
}
