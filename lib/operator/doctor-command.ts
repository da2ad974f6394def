import { defaultConfigFiles, netnsFolder } from '../config/defaults.ts'
import { systemClock } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import { adminAddress, adminOption, daemons } from '../cli/admin-sockets.ts'
import { doctorChecks, type DoctorCheck, type DoctorContext } from './doctor-checks.ts'
import { findingsText, type Finding } from './finding.ts'
import type { CommandSpec } from '../cli/command.ts'

async function examine(
  checks: readonly DoctorCheck[],
  context: DoctorContext,
): Promise<readonly Finding[]> {
  const found: Finding[] = []
  for (const check of checks) {
    try {
      for (const finding of await check.run(context)) found.push({ code: check.name, ...finding })
    } catch (cause) {
      // One check that cannot run must not hide what the others find.
      found.push({ code: check.name, level: 'fail', what: `Cannot check: ${causeText(cause)}` })
    }
  }
  return found
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
        call.options.flag('json') ? `${JSON.stringify(found)}\n` : findingsText(found),
      )
      return found.some((finding) => finding.level === 'fail') ? 1 : 0
    },
  }
}
