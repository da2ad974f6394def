import { jsonLine, jsonText } from '../cli/json-output.ts'
import { doctorHint } from '../cli/failure.ts'
import { AdminUnreachableError, requestAdminJson } from '../http/admin-client.ts'
import { isMapping } from '../runtime/mapping.ts'
import { headedTable, terminalText, textTable } from '../observe/text-table.ts'
import { adminAddress, adminOption, daemons } from '../cli/admin-sockets.ts'
import type { Daemon } from '../config/defaults.ts'
import {
  fetchHealth,
  failOnOption,
  failsOnDegraded,
  healthExitCode,
  healthExitCodes,
  healthText,
  type DaemonHealth,
} from './health-command.ts'
import type { CommandCall, CommandSpec } from '../cli/command.ts'
import { daemonsHere, onlyOption } from './daemons-here.ts'
import { shownValue } from './shown-value.ts'

interface DaemonStatus {
  readonly health: DaemonHealth
  readonly status: unknown
}

async function fetchStatus(daemon: Daemon, call: CommandCall): Promise<DaemonStatus> {
  const address = adminAddress(daemon, call)
  const health = await fetchHealth(daemon, address)
  if (!health.reachable) return { health, status: undefined }
  try {
    return { health, status: (await requestAdminJson(address, '/status')).value }
  } catch (thrown) {
    if (!(thrown instanceof AdminUnreachableError)) throw thrown
    return { health, status: undefined }
  }
}

/** Longer lists are for `--json`. */
const shownItems = 20

/** One thing a daemon reports of itself, on a line of its own. */
type StatusRow = readonly [path: string, value: string]

/** A list of things of one kind, such as namespaces, under the name it has. */
interface StatusList {
  readonly path: string
  readonly items: readonly Readonly<Record<string, unknown>>[]
}

interface StatusParts {
  readonly rows: StatusRow[]
  readonly lists: StatusList[]
}

/** Sorts a JSON value into single values and lists of things. */
function gather(value: unknown, path: string, parts: StatusParts): StatusParts {
  if (Array.isArray(value) && value.length > 0 && value.every(isMapping)) {
    parts.lists.push({ path, items: value })
  } else if (isMapping(value)) {
    for (const [name, inner] of Object.entries(value)) {
      gather(inner, path === '' ? name : `${path}.${name}`, parts)
    }
  } else {
    const name = path.slice(path.lastIndexOf('.') + 1)
    parts.rows.push([path, shownValue(value, name, shownItems)])
  }
  return parts
}

function listText({ path, items }: StatusList): string {
  const shown = items.slice(0, shownItems)
  const names = [...new Set(shown.flatMap((item) => Object.keys(item)))]
  const rows = shown.map((item) => names.map((name) => shownValue(item[name], name, shownItems)))
  const left = items.length - shown.length
  const more = left > 0 ? `  … and ${left} more, see --json\n` : ''
  const table = headedTable(
    ['', ...names.map(terminalText)],
    rows.map((row) => ['', ...row]),
  )
  return `\n  ${terminalText(path)} (${items.length})\n${table}${more}`
}

function statusText({ health, status }: DaemonStatus): string {
  if (status === undefined) return healthText(health)
  // The health is above already.
  const { health: _health, ...rest } = isMapping(status) ? status : {}
  const { rows, lists } = gather(rest, '', { rows: [], lists: [] })
  const table = textTable(rows.map(([path, value]) => ['', terminalText(path), value]))
  return `${healthText(health)}${table}${lists.map(listText).join('')}`
}

function notesText(notes: readonly string[]): string {
  return notes.map((note) => `${terminalText(note)}\n`).join('')
}

/** `status`: how both daemons stand. */
export function statusCommand(): CommandSpec {
  return {
    name: 'status',
    summary: 'show how the proxy and the agent of this host stand',
    description: `Queries both daemons of this host over their admin sockets and prints what they report about themselves: readiness of
each part, namespaces served, port directory, compute upstreams, counters.`,
    options: [...daemons.map(adminOption), onlyOption, { flags: '--json', help: 'print JSON' }],
    examples: [
      ['overlapd status', 'how is this host?'],
      ['overlapd status --json | jq .agent.status', 'for programs'],
    ],
    exitCodes: healthExitCodes,
    async run(call) {
      const { here, notes } = await daemonsHere(call)
      const all = await Promise.all(here.map((daemon) => fetchStatus(daemon, call)))
      const { terminal } = call
      if (call.options.flag('json')) {
        const byDaemon = Object.fromEntries(all.map((one) => [one.health.daemon, one]))
        terminal.out(jsonText(byDaemon))
      } else {
        terminal.out(all.map(statusText).join('\n'))
        terminal.out(notesText(notes))
        if (all.some(({ health }) => !health.reachable)) terminal.error(doctorHint)
      }
      return healthExitCode(all.map((one) => one.health))
    },
  }
}

/** `health` of the operator's program: both daemons at once. */
export function hostHealthCommand(): CommandSpec {
  return {
    name: 'health',
    summary: 'report whether the proxy and the agent of this host can serve guests',
    description: `Queries both daemons of this host. "Ready" means that every guest can be served, "degraded" that some cannot, "not ready"
that none can. Each problem comes with its effect and with the command that mends it. For one daemon alone use
"overlapd-proxy health" or "overlapd-agent health".`,
    options: [
      ...daemons.map(adminOption),
      onlyOption,
      failOnOption,
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [
      ['overlapd health', 'one line for each daemon, and each problem'],
      ['overlapd health --fail-on degraded', 'for checks that must find the smallest trouble'],
    ],
    exitCodes: healthExitCodes,
    async run(call) {
      const isStrict = failsOnDegraded(call)
      const { here, notes } = await daemonsHere(call)
      const all = await Promise.all(
        here.map((daemon) => fetchHealth(daemon, adminAddress(daemon, call))),
      )
      if (call.options.flag('json')) call.terminal.out(jsonLine({ daemons: all }))
      else {
        call.terminal.out(`${all.map(healthText).join('')}${notesText(notes)}`)
        if (all.some(({ reachable }) => !reachable)) call.terminal.error(doctorHint)
      }
      return healthExitCode(all, isStrict)
    },
  }
}
