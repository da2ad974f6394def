/** What does `overlapd-proxy adopt` show and do? */
import {
  UsageError,
  type CommandCall,
  type CommandSpec,
  type OptionSpec,
} from '../../lib/cli/command.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import { terminalText, textTable } from '../../lib/observe/text-table.ts'
import { tcpAddressText } from '../../lib/identity/tcp-address.ts'
import { scopeId } from '../namespaces/identity.ts'
import { scanNamespaces } from '../netns/discover.ts'
import {
  findNeutronHaproxies,
  type DoubtfulHaproxy,
  type NeutronHaproxy,
} from './neutron-haproxy.ts'
import { takeOver } from './take-over.ts'

export interface AdoptCommandOptions {
  /** Those by which the configuration is found. */
  readonly options: readonly OptionSpec[]
  readonly settingsOf: (call: CommandCall) => {
    readonly netnsDir: string
    readonly controlSocket: string
  }
}

const drainLimit = 5_000

/** The command for a migration without a gap. */
export function adoptCommand({ options, settingsOf }: AdoptCommandOptions): CommandSpec {
  return {
    name: 'adopt',
    summary: "take over the namespaces of haproxies that Neutron's agents started",
    description: `Lists the haproxies that Neutron's agents run for metadata. With --stop-haproxy those that are named, by namespace,
router, network or process, or all of them with --all, are replaced: the running proxy continues on the same sockets, so no connection is refused, a
process that waits stands for haproxy before Neutron's process monitor, and haproxy ends when it has finished its requests. Needs root.`,
    arguments: [
      { name: '[namespace...]', help: 'which to take over: a namespace, an id or a process' },
    ],
    options: [
      { flags: '--stop-haproxy', help: 'take over, and let haproxy end' },
      { flags: '--all', help: 'all that can be taken over' },
      { flags: '--dry-run', help: 'only print what would be done' },
      ...options,
    ],
    examples: [
      ['overlapd-proxy adopt', 'print what there is'],
      ['overlapd-proxy adopt --stop-haproxy qdhcp-0b1e...', 'take one namespace over'],
    ],
    exitCodes: [
      [0, 'done, or nothing to do'],
      [1, 'one of those named could not be taken over; its haproxy serves as before'],
      [2, 'called wrongly, or the configuration cannot be used'],
    ],
    async run(call) {
      const { netnsDir, controlSocket } = settingsOf(call)
      const { found } = scanNamespaces(netnsDir, [])
      const { haproxies, doubtful } = findNeutronHaproxies(found)
      const named = call.arguments
      const isAll = call.options.flag('all')
      const stops = call.options.flag('stopHaproxy')
      if (stops && !isAll && named.length === 0) {
        throw new UsageError('name the namespaces to take over, or use --all')
      }
      checkNames(named, haproxies, doubtful)
      const chosen = (one: NeutronHaproxy): boolean =>
        isAll || named.length === 0 || named.some((name) => isCalled(one, name))
      const isDry = !stops || call.options.flag('dryRun')
      const rows: string[][] = []
      let failed = false
      for (const haproxy of haproxies.filter(chosen)) {
        const outcome = isDry ? 'can be taken over' : await outcomeOf(haproxy, controlSocket)
        failed ||= outcome.startsWith(failure)
        rows.push([...cells(haproxy), outcome])
      }
      if (isAll || named.length === 0) {
        for (const { pid, why } of doubtful)
          rows.push([String(pid), '', '', '', `left alone: ${why}`])
      }
      const head = ['PROCESS', 'NAMESPACE', 'SCOPE', 'LISTENS', 'OUTCOME']
      const lines = rows.map((row) => row.map(terminalText))
      call.terminal.out(
        rows.length === 0 ? 'No haproxy of Neutron runs here.\n' : textTable([head, ...lines]),
      )
      return failed ? 1 : 0
    },
  }
}

const failure = 'not taken over: '

async function outcomeOf(haproxy: NeutronHaproxy, controlSocket: string): Promise<string> {
  try {
    const hasEnded = await takeOver(haproxy, {
      controlSocket,
      clock: { ...systemClock, sleep: keepAliveSleep },
      drainLimit,
    })
    return hasEnded ? 'taken over' : 'taken over, but haproxy does not end: both serve'
  } catch (cause) {
    return `${failure}${causeText(cause)}`
  }
}

/** The clock's own timers do not keep a process alive, and a command has nothing else that does. */
function keepAliveSleep(span: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, span)
  })
}

/** @throws {UsageError} when a name fits none, or one that is better left alone */
function checkNames(
  names: readonly string[],
  haproxies: readonly NeutronHaproxy[],
  doubtful: readonly DoubtfulHaproxy[],
): void {
  for (const name of names) {
    if (haproxies.some((one) => isCalled(one, name))) continue
    const left = doubtful.find(
      ({ pid, configFile }) => String(pid) === name || configFile.includes(name),
    )
    if (left !== undefined) throw new Error(`Cannot take over ${name}: ${left.why}`)
    throw new UsageError(`no haproxy of Neutron is called "${name}"`)
  }
}

function isCalled({ netns, pid, config }: NeutronHaproxy, name: string): boolean {
  return name === netns || name === String(pid) || name === scopeId(config.identity.scope)
}

function cells({ pid, netns, config }: NeutronHaproxy): string[] {
  const listens = config.listen.map(tcpAddressText).join(' ')
  return [String(pid), netns ?? '(without a name)', scopeText(config.identity.scope), listens]
}
