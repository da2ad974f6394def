import { jsonText } from '../cli/json-output.ts'
import { doctorHint } from '../cli/failure.ts'
import { textOf } from './answer-fields.ts'
import { queryAudits, isQueried, type DaemonAudit, type Unqueried } from './audit-query.ts'
import { findingsText, levels, type Finding } from './finding.ts'
import {
  failingLevels,
  failOnLevelOption,
  findingsExitCode,
  findingsExitCodes,
} from './findings-exit-code.ts'
import { headedTable, terminalText } from '../observe/text-table.ts'
import { adminOption, daemons } from '../cli/admin-sockets.ts'
import type { CommandSpec } from '../cli/command.ts'
import { daemonsHere, onlyOption } from './daemons-here.ts'

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

/** `audit`: is every guest of this host answered as itself, before it requests anything? */
export function auditCommand(): CommandSpec {
  return {
    name: 'audit',
    summary: 'look for everything that would keep guests from their own metadata',
    description: `Has the proxy compare what it serves with what the kernel reports: listeners, rules, other processes on its ports,
refused namespaces, agents, certificates. Then the agent decides, by its own policy, as which
instance it would answer each address of the served routers and networks: duplicates, unknown scopes, ports without instance, endpoints that
refuse our secret, refusals of the last hour. Changes nothing, and no guest waits for it.`,
    options: [
      ...daemons.map(adminOption),
      onlyOption,
      { flags: '--answers', help: 'list as which instance each address would be answered' },
      failOnLevelOption,
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [
      ['sudo overlapd audit', 'is all well on this host?'],
      ['sudo overlapd audit --fail-on warn', 'for a timer that reports the smallest trouble'],
      ['sudo overlapd audit --answers', 'who would get whose metadata?'],
      ['sudo overlapd audit --only proxy', 'of one daemon alone'],
    ],
    exitCodes: findingsExitCodes,
    async run(call) {
      const { terminal, options } = call
      const failLevels = failingLevels(call)
      const { here, notes: elsewhere } = await daemonsHere(call)
      const all = await queryAudits(here, call, options.flag('answers'))
      const queried = all.filter(isQueried)
      const unqueried = all.filter((one): one is Unqueried => !isQueried(one))
      const findings = queried.flatMap((one) => one.findings)
      const notes = [...elsewhere, ...queried.flatMap((one) => one.notes)]
      if (options.flag('json')) {
        const checked = Object.fromEntries(queried.map((one) => [one.daemon, one.checked]))
        const answers = options.flag('answers')
          ? { answers: queried.flatMap((one) => one.answers) }
          : {}
        const report = { findings, notes, checked, unqueried, ...answers }
        terminal.out(jsonText(report))
      } else {
        terminal.out(queried.map((one) => answersText(one.answers)).join(''))
        terminal.out(findingsText(findings))
        for (const one of notes) terminal.out(`note  ${terminalText(one)}\n`)
        terminal.out(queried.map(checkedText).join(''))
        for (const { daemon, why } of unqueried) {
          terminal.error(`${daemon}: not audited. ${terminalText(why)}\n`)
        }
        if (unqueried.length > 0) terminal.error(doctorHint)
        else terminal.out(summary(findings))
      }
      if (unqueried.length > 0) return 2
      return findingsExitCode(findings, failLevels)
    },
  }
}
