import { jsonLine } from '../cli/json-output.ts'
import { doctorHint } from '../cli/failure.ts'
import { AdminUnreachableError, requestAdminJson, type AdminAddress } from '../http/admin-client.ts'
import { readReport, type DaemonReadiness, type ReadProblem } from './readiness.ts'
import { terminalText } from '../observe/text-table.ts'
import {
  UsageError,
  type CommandCall,
  type CommandSpec,
  type ExitCode,
  type OptionSpec,
} from '../cli/command.ts'

/** How one daemon is: it reported that, or it could not be queried. */
export type DaemonHealth =
  | ({ readonly daemon: string; readonly reachable: true } & DaemonReadiness)
  | { readonly daemon: string; readonly reachable: false; readonly why: string }

/** Queries one daemon whether it is alive and ready. */
export async function fetchHealth(daemon: string, address: AdminAddress): Promise<DaemonHealth> {
  try {
    const { value } = await requestAdminJson(address, '/ready', { timeLimit: 3_000 })
    const report = readReport(value)
    if (report !== undefined) return { daemon, reachable: true, ...report }
    return { daemon, reachable: false, why: `"${address}" gave no readiness report` }
  } catch (thrown) {
    if (!(thrown instanceof AdminUnreachableError)) throw thrown
    return { daemon, reachable: false, why: thrown.message }
  }
}

/** 0 when all are ready or degraded, 1 when one is not ready, 2 when one could not be queried. */
export function healthExitCode(healths: readonly DaemonHealth[], failOnDegraded = false): number {
  if (healths.some((health) => !health.reachable)) return 2
  const isWell = (health: DaemonHealth): boolean =>
    health.reachable && (failOnDegraded ? health.state === 'ready' : health.ready)
  return healths.every(isWell) ? 0 : 1
}

const stateWords = { ready: 'ready', degraded: 'degraded', not_ready: 'not ready' } as const

/** `agent: ready`, or each problem with its effect and its remedy. */
export function healthText(health: DaemonHealth): string {
  if (!health.reachable) return `${health.daemon}: ${health.why}\n`
  const { daemon, state, parts, problems } = health
  const lines = problems.flatMap(problemLines)
  // One of another version has parts alone.
  const missing = parts
    .filter((part) => !part.ready && problems.every((one) => one.part !== part.name))
    .map((part) => `  ${part.name}: ${part.detail}`)
  const all = [...lines, ...missing].map((line) => `${terminalText(line)}\n`)
  return `${daemon}: ${stateWords[state]}${servedText(health)}\n${all.join('')}`
}

function problemLines(problem: ReadProblem): readonly string[] {
  const { part, code, what, howMany, of, since, effect, remedy } = problem
  const counted = of > 1 ? `${howMany} of ${of}: ` : ''
  const at = since.replace(/^.*T(.*)\..*$/, ', since $1 UTC')
  return [
    `  ${part}: ${counted}${what} (${code}${at})`,
    ...(effect === '' ? [] : [`    Effect: ${effect}`]),
    ...(remedy === '' ? [] : [`    → ${remedy}`]),
  ]
}

/** That guests get answers is printed only where one did, or the canary. */
function servedText({ state, served }: DaemonReadiness): string {
  const at = served.guest ?? served.canary
  if (at === undefined) return state === 'ready' ? '; no guest has been served yet' : ''
  const who = served.guest === undefined ? 'the canary was answered' : 'a guest was served'
  return `; ${who} at ${at.replace(/\.\d+Z$/, 'Z')}`
}

/** What the exit codes of `health` mean. */
export const healthExitCodes: readonly ExitCode[] = [
  [0, 'ready, or degraded: some guests cannot be served, and the output names them'],
  [1, 'not ready: no guest can be served; with --fail-on degraded, degraded as well'],
  [2, 'could not query, or called wrongly'],
]

/** From which state on `health` fails. */
export const failOnOption: OptionSpec = {
  flags: '--fail-on <state>',
  help: 'degraded or not_ready: the state from which on the exit code is 1',
  defaultText: 'not_ready',
}

/** @returns whether degraded is a failure. @throws {UsageError} */
export function failsOnDegraded(call: CommandCall): boolean {
  const state = call.options.text('failOn') ?? 'not_ready'
  if (state !== 'degraded' && state !== 'not_ready') {
    throw new UsageError('--fail-on must be degraded or not_ready')
  }
  return state === 'degraded'
}

/** Of the commands of one daemon. */
export const adminSocketOption: OptionSpec = {
  flags: '--admin <socket>',
  help: "path of the admin socket; the configuration's otherwise",
}

/** `health`: for container probes, load balancers and people. */
export function healthCommand(details: {
  readonly program: string
  readonly daemon: string
  /** Options by which the socket is found, such as those of the configuration. */
  readonly options: readonly OptionSpec[]
  /** Where the daemon's admin socket is without `--admin`. */
  addressOf(call: CommandCall): AdminAddress
}): CommandSpec {
  const { program, daemon } = details
  return {
    name: 'health',
    summary: `report whether the running ${daemon} can serve guests`,
    description: `Queries the running ${daemon} over its admin socket. "Ready" means that every guest can be served, "degraded"
that some cannot, "not ready" that none can. Each problem comes with its effect and with the command that mends it.`,
    options: [
      adminSocketOption,
      ...details.options,
      failOnOption,
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [
      [`${program} health`, 'prints "ready", or what is not'],
      [`${program} health --json`, 'for programs'],
    ],
    exitCodes: healthExitCodes,
    async run(call) {
      const isStrict = failsOnDegraded(call)
      const health = await fetchHealth(
        daemon,
        call.options.text('admin') ?? details.addressOf(call),
      )
      const { terminal } = call
      if (call.options.flag('json')) terminal.out(jsonLine(health))
      else if (health.reachable) terminal.out(healthText(health))
      else terminal.error(`${healthText(health)}${doctorHint}`)
      return healthExitCode([health], isStrict)
    },
  }
}
