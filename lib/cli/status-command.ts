import { AdminUnreachableError, askAdminJson } from '../http/admin-client.ts'
import { isMapping } from '../config/entry.ts'
import { terminalText, textTable } from '../text-table.ts'
import { adminAddress, adminOption, daemons, type Daemon } from './admin-sockets.ts'
import {
  askHealth,
  healthExitCode,
  healthExitCodes,
  healthText,
  type DaemonHealth,
} from './health-command.ts'
import type { CommandCall, CommandSpec } from './command.ts'

interface DaemonStatus {
  readonly health: DaemonHealth
  readonly status: unknown
}

async function askStatus(daemon: Daemon, call: CommandCall): Promise<DaemonStatus> {
  const address = adminAddress(daemon, call)
  const health = await askHealth(daemon, address)
  if (!health.reachable) return { health, status: undefined }
  try {
    return { health, status: (await askAdminJson(address, '/status')).value }
  } catch (thrown) {
    if (!(thrown instanceof AdminUnreachableError)) throw thrown
    return { health, status: undefined }
  }
}

/** Longer lists are for `--json`. */
const shownItems = 20

/** A JSON value as lines of `path  value`. */
function statusRows(value: unknown, path: string): readonly (readonly [string, string])[] {
  const below = (name: string): string => (path === '' ? name : `${path}.${name}`)
  if (Array.isArray(value)) {
    const items = value as readonly unknown[]
    const rows = items
      .slice(0, shownItems)
      .flatMap((item, index) => statusRows(item, `${path}[${index}]`))
    const left = items.length - shownItems
    return left > 0 ? [...rows, [path, `… and ${left} more, see --json`]] : rows
  }
  if (isMapping(value)) {
    return Object.entries(value).flatMap(([name, inner]) => statusRows(inner, below(name)))
  }
  return [[path, typeof value === 'string' ? value : JSON.stringify(value)]]
}

function statusText({ health, status }: DaemonStatus): string {
  const rows = status === undefined ? [] : statusRows(status, '')
  const table = textTable(
    rows.map(([path, value]) => ['', terminalText(path), terminalText(value)]),
  )
  return `${healthText(health)}${table}`
}

/** `status`: how both daemons stand. */
export function statusCommand(): CommandSpec {
  return {
    name: 'status',
    summary: 'show how the proxy and the agent of this host stand',
    description: `Asks both daemons of this host over their admin sockets and prints what they say about themselves: readiness of
each part, namespaces served, port directory, compute upstreams, counters.`,
    options: [...daemons.map(adminOption), { flags: '--json', help: 'print JSON' }],
    examples: [
      ['overlapd status', 'how is this host?'],
      ['overlapd status --json | jq .agent.status', 'for programs'],
    ],
    exitCodes: healthExitCodes,
    async run(call) {
      const all = await Promise.all(daemons.map((daemon) => askStatus(daemon, call)))
      const { terminal } = call
      if (call.options.flag('json')) {
        const byDaemon = Object.fromEntries(all.map((one) => [one.health.daemon, one]))
        terminal.out(`${JSON.stringify(byDaemon, undefined, 2)}\n`)
      } else {
        terminal.out(all.map(statusText).join('\n'))
      }
      return healthExitCode(all.map((one) => one.health))
    },
  }
}

/** `health` of the operator's program: both daemons at once. */
export function hostHealthCommand(): CommandSpec {
  return {
    name: 'health',
    summary: 'ask the proxy and the agent of this host whether they are ready',
    description: `Asks both daemons of this host. "Ready" means that guests get answers; otherwise the parts that are not ready are
named. For one daemon alone use "overlapd-proxy health" or "overlapd-agent health".`,
    options: [...daemons.map(adminOption), { flags: '--json', help: 'print JSON' }],
    examples: [['overlapd health', 'prints one line for each daemon']],
    exitCodes: healthExitCodes,
    async run(call) {
      const all = await Promise.all(
        daemons.map((daemon) => askHealth(daemon, adminAddress(daemon, call))),
      )
      call.terminal.out(
        call.options.flag('json') ? `${JSON.stringify(all)}\n` : all.map(healthText).join(''),
      )
      return healthExitCode(all)
    },
  }
}
