import { isMapping } from '../config/entry.ts'
import { AdminUnreachableError, askAdminJson, type AskOptions } from '../http/admin-client.ts'
import { mappings, textOf, texts } from './answer-fields.ts'
import { findingsText, levels, readFindings, type Finding } from './finding.ts'
import { headedTable, terminalText } from '../observe/text-table.ts'
import { adminAddress, adminOption, daemons } from '../cli/admin-sockets.ts'
import type { Daemon } from '../config/defaults.ts'
import { UsageError, type CommandCall, type CommandSpec } from '../cli/command.ts'

/** Many scopes of a busy cloud, asked one network after the other. */
const longestAudit = 300_000

/** What one daemon answered on `/audit`. */
interface DaemonAudit {
  readonly daemon: Daemon
  readonly checked: Readonly<Record<string, unknown>>
  readonly notes: readonly string[]
  readonly findings: readonly Finding[]
  readonly scopes: readonly string[]
  readonly answers: readonly Readonly<Record<string, unknown>>[]
}

/** A daemon that could not be asked, or one that answered something else. */
interface Unasked {
  readonly daemon: Daemon
  readonly why: string
}

async function ask(
  daemon: Daemon,
  call: CommandCall,
  options: AskOptions,
): Promise<DaemonAudit | Unasked> {
  try {
    const address = adminAddress(daemon, call)
    const limits = { timeLimit: longestAudit, bodyLimit: 64 * 1024 * 1024 }
    const { status, value } = await askAdminJson(address, '/audit', { ...limits, ...options })
    if (status === 200 && isMapping(value) && Array.isArray(value['findings'])) {
      return {
        daemon,
        checked: isMapping(value['checked']) ? value['checked'] : {},
        notes: texts(value['notes']),
        findings: readFindings(value['findings']),
        scopes: texts(value['scopes']),
        answers: mappings(value['answers']),
      }
    }
    const said = isMapping(value) ? value['message'] : undefined
    return { daemon, why: typeof said === 'string' ? said : `it answered with status ${status}` }
  } catch (thrown) {
    if (!(thrown instanceof AdminUnreachableError)) throw thrown
    return { daemon, why: thrown.message }
  }
}

function isAsked(one: DaemonAudit | Unasked): one is DaemonAudit {
  return 'findings' in one
}

async function askAll(
  wanted: readonly Daemon[],
  call: CommandCall,
): Promise<readonly (DaemonAudit | Unasked)[]> {
  const proxy = wanted.includes('proxy') ? await ask('proxy', call, {}) : undefined
  const asked = proxy === undefined ? [] : [proxy]
  if (!wanted.includes('agent')) return asked
  const scopes = proxy !== undefined && isAsked(proxy) ? proxy.scopes : undefined
  const json = { answers: call.options.flag('answers'), ...(scopes && { scopes }) }
  return [...asked, await ask('agent', call, { json })]
}

function answersText(answers: DaemonAudit['answers']): string {
  const columns = ['scope', 'address', 'macAddress', 'instanceId', 'reason']
  const rows = answers.map((answer) =>
    columns.map((column) => terminalText(textOf(answer[column]))),
  )
  const headings = ['scope', 'address', 'MAC', 'answered as', 'refused because']
  return rows.length === 0 ? '' : `${headedTable(headings, rows)}\n`
}

function checkedText({ daemon, checked }: DaemonAudit): string {
  const counts = Object.entries(checked).map(
    ([what, count]) => `${String(count)} ${what.replaceAll('_', ' ')}`,
  )
  return `${daemon}: looked at ${counts.join(', ')}\n`
}

function summary(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'Nothing found.\n'
  const counts = levels.flatMap((level) => {
    const count = findings.filter((one) => one.level === level).length
    return count === 0 ? [] : [`${count} ${level}`]
  })
  return `${findings.length} found: ${counts.join(', ')}.\n`
}

function wantedDaemons(call: CommandCall): readonly Daemon[] {
  const only = call.options.text('only')
  if (only === undefined) return daemons
  const named = daemons.find((daemon) => daemon === only)
  if (named === undefined) throw new UsageError('--only must be proxy or agent')
  return [named]
}

/** `audit`: is every guest of this host answered as itself, before it asks? */
export function auditCommand(): CommandSpec {
  return {
    name: 'audit',
    summary: 'look for everything that would keep guests from their own metadata',
    description: `Has the proxy compare what it serves with what the kernel says: listeners, rules, other processes on its ports,
refused namespaces, agents, certificates. Then has the agent decide, by its own policy, whom each address of the
served routers and networks would be answered as: duplicates, unknown scopes, ports without instance, endpoints that
refuse our secret, refusals of the last hour. Changes nothing, and no guest waits for it.`,
    options: [
      ...daemons.map(adminOption),
      {
        flags: '--only <daemon>',
        help: 'proxy or agent; with a central agent elsewhere the proxy is all there is here',
      },
      { flags: '--answers', help: 'list whom each address would be answered as' },
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [
      ['sudo overlapd audit', 'is all well on this host?'],
      ['sudo overlapd audit --answers', 'who would get whose metadata?'],
      ['sudo overlapd audit --only proxy', 'where the agents are on other hosts'],
    ],
    exitCodes: [
      [0, 'nothing found'],
      [1, 'something found'],
      [2, 'could not ask, or called wrongly'],
    ],
    async run(call) {
      const { terminal, options } = call
      const all = await askAll(wantedDaemons(call), call)
      const asked = all.filter(isAsked)
      const unasked = all.filter((one): one is Unasked => !isAsked(one))
      const findings = asked.flatMap((one) => one.findings)
      if (options.flag('json')) {
        const notes = asked.flatMap((one) => one.notes)
        const checked = Object.fromEntries(asked.map((one) => [one.daemon, one.checked]))
        const answers = options.flag('answers')
          ? { answers: asked.flatMap((one) => one.answers) }
          : {}
        const report = { findings, notes, checked, unasked, ...answers }
        terminal.out(`${JSON.stringify(report, undefined, 2)}\n`)
      } else {
        terminal.out(asked.map((one) => answersText(one.answers)).join(''))
        terminal.out(findingsText(findings))
        for (const one of asked.flatMap(({ notes }) => notes)) {
          terminal.out(`note  ${terminalText(one)}\n`)
        }
        terminal.out(asked.map(checkedText).join(''))
        for (const { daemon, why } of unasked) {
          terminal.error(`${daemon}: not audited. ${terminalText(why)}\n`)
        }
        if (unasked.length === 0) terminal.out(summary(findings))
      }
      if (unasked.length > 0) return 2
      return findings.length > 0 ? 1 : 0
    },
  }
}
