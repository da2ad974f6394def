import { jsonLine } from '../cli/json-output.ts'
import { release } from 'node:os'
import { adminAddress, adminOption, daemons } from '../cli/admin-sockets.ts'
import { netnsFolder } from '../config/defaults.ts'
import { configFilesOf } from './daemon-check.ts'
import { systemClock } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import { daemonsHere, onlyOption } from './daemons-here.ts'
import { queryAudits, isQueried } from './audit-query.ts'
import { doctorChecks, type DoctorCheck } from './doctor-checks.ts'
import { findingsText, type Finding } from './finding.ts'
import {
  failingLevels,
  failOnLevelOption,
  findingsExitCode,
  findingsExitCodes,
} from './findings-exit-code.ts'
import { hostFinding, wellFinding } from './host-codes.ts'
import { daemonFacts, type DaemonFacts, type HostFacts } from './host-facts.ts'
import type { CommandCall, CommandSpec } from '../cli/command.ts'

async function examine(
  checks: readonly DoctorCheck[],
  facts: HostFacts,
): Promise<readonly Finding[]> {
  const found: Finding[] = []
  for (const check of checks) {
    try {
      found.push(...(await check.run(facts)))
    } catch (cause) {
      // One check that cannot run must not hide what the others find.
      found.push(hostFinding('check_failed', check.name, causeText(cause)))
    }
  }
  return found
}

/** What the daemons find about themselves. One that cannot be queried is the finding of a check. */
async function audited(facts: HostFacts, call: CommandCall): Promise<readonly Finding[]> {
  const wanted = facts.daemons.map(({ daemon }) => daemon)
  const audits = (await queryAudits(wanted, call, false)).filter(isQueried)
  const silent = facts.daemons.filter(({ daemon }) => !audits.some((one) => one.daemon === daemon))
  return [...audits.flatMap(({ findings }) => findings), ...silent.flatMap(problemsOf)]
}

/** Of one that gave no audit, as it may be busy with another. */
function problemsOf({ health }: DaemonFacts): readonly Finding[] {
  if (!health.reachable) return []
  return health.problems.map(({ code, part, what, state, effect, remedy }) => ({
    level: state === 'not_ready' ? 'fail' : 'warn',
    code,
    about: part,
    what,
    effect,
    remedy,
  }))
}

/** Of two findings about one thing that of doctor stays: a check that looks from outside sees more than the daemon. */
function withoutKnown(audit: readonly Finding[], own: readonly Finding[]): readonly Finding[] {
  const known = new Set(own.map(({ code, about }) => `${code} ${about}`))
  return audit.filter(({ code, about }) => !known.has(`${code} ${about}`))
}

/** `doctor`: is this host fit for service, and what is to be done? */
export function doctorCommand(checks: readonly DoctorCheck[] = doctorChecks): CommandSpec {
  return {
    name: 'doctor',
    summary: 'look over this host and its daemons, and name what mends each problem',
    description: `The one command at night: everything that "check" and "audit" find, and what is around the daemons: processes,
capabilities, sockets, ports, namespaces, mounts, kernel, libraries, clock, disks, leftovers. Each line has what is wrong, what it does
to guests, and the command that mends it. Changes nothing. Run it as root: others cannot see everything.`,
    options: [
      ...daemons.map(adminOption),
      onlyOption,
      {
        flags: '--config <file>',
        help: 'configuration file to look at',
        repeatable: true,
        defaultText: 'those of the daemons that run, or /etc/overlapd/proxy.yaml and agent.yaml',
      },
      { flags: '--netns <folder>', help: 'where namespaces are named', defaultText: netnsFolder },
      failOnLevelOption,
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [
      ['sudo overlapd doctor', 'what is wrong here, and what mends it?'],
      ['sudo overlapd doctor --only proxy', 'of one daemon alone'],
      ['sudo overlapd doctor --fail-on warn --json', 'for a check of the deployment'],
    ],
    exitCodes: findingsExitCodes,
    async run(call) {
      const { options, terminal } = call
      const failing = failingLevels(call)
      const named = options.list('config')
      const { here: wanted, notes } = await daemonsHere(call)
      const daemonsSeen = await Promise.all(
        wanted.map((daemon) =>
          daemonFacts(daemon, adminAddress(daemon, call), terminal.environment),
        ),
      )
      const files = daemonsSeen.flatMap(({ daemon, process }) => configFilesOf(daemon, process))
      const facts: HostFacts = {
        daemons: daemonsSeen,
        configFiles: named.length > 0 ? named : files,
        netnsFolder: options.text('netns') ?? netnsFolder,
        wallTime: systemClock.wallTime(),
        kernel: release(),
      }
      const elsewhere = notes.map((note) => wellFinding('daemons', note))
      const own = [...elsewhere, ...(await examine(checks, facts))]
      const found = [...own, ...withoutKnown(await audited(facts, call), own)]
      terminal.out(options.flag('json') ? jsonLine({ findings: found }) : findingsText(found))
      return findingsExitCode(found, failing)
    },
  }
}
