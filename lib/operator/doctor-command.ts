import { defaultConfigFiles, netnsFolder } from '../config/defaults.ts'
import { systemClock } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import { terminalText } from '../observe/text-table.ts'
import { adminAddress, adminOption, daemons } from '../cli/admin-sockets.ts'
import { doctorChecks, type DoctorCheck, type DoctorContext } from './doctor-checks.ts'
import type { Finding } from './finding.ts'
import type { CommandSpec } from '../cli/command.ts'

/** A finding under the name of its check. */
interface NamedFinding extends Finding {
  readonly check: string
}

async function examine(
  checks: readonly DoctorCheck[],
  context: DoctorContext,
): Promise<readonly NamedFinding[]> {
  const found: NamedFinding[] = []
  for (const check of checks) {
    try {
      for (const finding of await check.run(context)) found.push({ check: check.name, ...finding })
    } catch (cause) {
      // One check that cannot run must not hide what the others find.
      found.push({ check: check.name, level: 'fail', what: `Cannot check: ${causeText(cause)}` })
    }
  }
  return found
}

function findingText({ level, check, what, todo }: NamedFinding): string {
  const line = `${level.padEnd(4)}  ${check}: ${terminalText(what)}\n`
  return todo === undefined ? line : `${line}      → ${terminalText(todo)}\n`
}

/** `doctor`: is this host fit for service, and what is to be done? */
export function doctorCommand(checks: readonly DoctorCheck[] = doctorChecks): CommandSpec {
  return {
    name: 'doctor',
    summary: 'look over this host and say what to do',
    description: `Looks at what the daemons need on this host and prints a line for each: ok, warn or fail, with what to do. Changes
nothing. Run it as the user of the daemons, or as root.`,
    options: [
      ...daemons.map(adminOption),
      {
        flags: '--config <file>',
        help: 'configuration file to look at',
        repeatable: true,
        defaultText: '/etc/overlapd/proxy.yaml and agent.yaml',
      },
      { flags: '--netns <folder>', help: 'where namespaces are named', defaultText: netnsFolder },
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [['sudo overlapd doctor', 'what is wrong here?']],
    exitCodes: [
      [0, 'nothing failed; there may be warnings'],
      [1, 'something failed'],
      [2, 'called wrongly'],
    ],
    async run(call) {
      const named = call.options.list('config')
      const found = await examine(checks, {
        addressOf: (daemon) => adminAddress(daemon, call),
        configFiles: named.length > 0 ? named : Object.values(defaultConfigFiles),
        netnsFolder: call.options.text('netns') ?? netnsFolder,
        wallTime: systemClock.wallTime(),
      })
      call.terminal.out(
        call.options.flag('json') ? `${JSON.stringify(found)}\n` : found.map(findingText).join(''),
      )
      return found.some((finding) => finding.level === 'fail') ? 1 : 0
    },
  }
}
