/** Which of haproxy's options does overlapd-haproxy understand? Those that Neutron and its deployment tools use. */
import { isAbsolute } from 'node:path'
import { packageVersion } from '../../lib/runtime/package-version.ts'
import { defaultSockets } from '../../lib/config/defaults.ts'
import type { Terminal } from '../../lib/cli/terminal.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { terminalText } from '../../lib/observe/text-table.ts'
import { readNeutronHaproxyConfig, standInForHaproxy } from './stand-in.ts'

const help = `Stands in for haproxy where Neutron's agents start one in each namespace: has the running overlapd-proxy serve the namespace.

Usage: overlapd-haproxy -f FILE [-D] [-q] [--control SOCKET]
       overlapd-haproxy -c -f FILE
       overlapd-haproxy -v

  -f FILE            the configuration that Neutron wrote
  -c                 only check it
  -D, -q             accepted, since it goes to the background and is quiet anyway
  -v, -vv, --version
                     print the version
  --control SOCKET   the control socket of overlapd-proxy (default: ${defaultSockets.control})

Exit codes:
  0  served, or waiting for overlapd-proxy to start
  1  failed; the reason is on standard error
`

interface Options {
  readonly configFile: string | undefined
  readonly checkOnly: boolean
  readonly printOnly: string | undefined
  readonly controlSocket: string
}

/**
 * Runs overlapd-haproxy. Never throws: what went wrong is on standard error in haproxy's form, as Neutron's agents log it.
 * @param argv what follows the program's name
 * @returns the exit code
 */
export async function runStandIn(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const { configFile, checkOnly, printOnly, controlSocket } = readOptions(argv)
    if (printOnly !== undefined) {
      terminal.out(printOnly)
      return 0
    }
    if (configFile === undefined || !isAbsolute(configFile)) {
      throw new Error('Cannot run without the absolute path of a configuration: -f FILE')
    }
    if (checkOnly) {
      readNeutronHaproxyConfig(configFile)
      terminal.out('Configuration file is valid\n')
      return 0
    }
    if (process.geteuid?.() !== 0) throw new Error('Cannot be run by another user than root')
    return await standInForHaproxy({ configFile, controlSocket, terminal })
  } catch (cause) {
    terminal.error(`[ALERT]    (${process.pid}) : ${terminalText(causeText(cause))}\n`)
    return 1
  }
}

function readOptions(argv: readonly string[]): Options {
  let configFile: string | undefined
  let checkOnly = false
  let printOnly: string | undefined
  let controlSocket: string = defaultSockets.control
  for (let index = 0; index < argv.length; index += 1) {
    const option = argv[index] ?? ''
    switch (option) {
      case '-f':
        if (configFile !== undefined) throw new Error('Cannot use more than one configuration')
        configFile = argv[(index += 1)]
        break
      case '--control':
        controlSocket = argv[(index += 1)] ?? ''
        break
      case '-c':
        checkOnly = true
        break
      case '-v':
      case '-vv':
      case '--version':
        printOnly = `overlapd-haproxy version ${packageVersion()}, in place of HAProxy\n`
        break
      case '-h':
      case '--help':
        printOnly = help
        break
      case '-D':
      case '-q':
        break
      default:
        throw new Error(`Cannot be called with "${option}": it is no option of overlapd-haproxy`)
    }
  }
  if (!isAbsolute(controlSocket)) throw new Error('--control needs an absolute path')
  return { configFile, checkOnly, printOnly, controlSocket }
}
