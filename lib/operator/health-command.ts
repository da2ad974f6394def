import { AdminUnreachableError, askAdminJson, type AdminAddress } from '../http/admin-client.ts'
import { readReport, type DaemonReadiness } from './readiness.ts'
import { terminalText } from '../observe/text-table.ts'
import type { CommandCall, CommandSpec, ExitCode, OptionSpec } from '../cli/command.ts'

/** How one daemon is: it answered and said so, or it could not be asked. */
export type DaemonHealth =
  | ({ readonly daemon: string; readonly reachable: true } & DaemonReadiness)
  | { readonly daemon: string; readonly reachable: false; readonly why: string }

/** Asks one daemon whether it is alive and ready. */
export async function askHealth(daemon: string, address: AdminAddress): Promise<DaemonHealth> {
  try {
    const { value } = await askAdminJson(address, '/ready', { timeLimit: 3_000 })
    const report = readReport(value)
    if (report !== undefined) return { daemon, reachable: true, ...report }
    return { daemon, reachable: false, why: `"${address}" gave no readiness report` }
  } catch (thrown) {
    if (!(thrown instanceof AdminUnreachableError)) throw thrown
    return { daemon, reachable: false, why: thrown.message }
  }
}

/** 0 when all are ready, 1 when one is reachable but not ready, 2 when one could not be asked. */
export function healthExitCode(healths: readonly DaemonHealth[]): number {
  if (healths.some((health) => !health.reachable)) return 2
  return healths.every((health) => health.reachable && health.ready) ? 0 : 1
}

/** `agent: ready`, or what is not ready, a line each. */
export function healthText(health: DaemonHealth): string {
  if (!health.reachable) return `${health.daemon}: ${health.why}\n`
  if (health.ready) return `${health.daemon}: ready\n`
  const missing = health.parts
    .filter((part) => !part.ready)
    .map((part) => `  ${terminalText(part.name)}: ${terminalText(part.detail)}\n`)
  return `${health.daemon}: not ready\n${missing.join('')}`
}

/** What the exit codes of `health` mean. */
export const healthExitCodes: readonly ExitCode[] = [
  [0, 'alive and ready'],
  [1, 'alive but not ready; the output names what is missing'],
  [2, 'could not ask'],
]

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
  /** Where the daemon's admin socket is when `--admin` does not say. */
  addressOf(call: CommandCall): AdminAddress
}): CommandSpec {
  const { program, daemon } = details
  return {
    name: 'health',
    summary: `ask the running ${daemon} whether it is alive and ready`,
    description: `Asks the running ${daemon} over its admin socket. "Alive" means that it answers; "ready" means that guests get
answers. Restart what is not alive; wait for, or look into, what is not ready.`,
    options: [adminSocketOption, ...details.options, { flags: '--json', help: 'print JSON' }],
    examples: [
      [`${program} health`, 'prints "ready", or what is not'],
      [`${program} health --json`, 'for programs'],
    ],
    exitCodes: healthExitCodes,
    async run(call) {
      const health = await askHealth(daemon, call.options.text('admin') ?? details.addressOf(call))
      const { terminal } = call
      if (call.options.flag('json')) terminal.out(`${JSON.stringify(health)}\n`)
      else if (health.reachable) terminal.out(healthText(health))
      else terminal.error(healthText(health))
      return healthExitCode([health])
    },
  }
}
