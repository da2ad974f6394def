/** `overlapd shield`: who would be refused if the policy enforced every shield? */
import { jsonText } from '../../lib/cli/json-output.ts'
import { adminAddress, adminOption } from '../../lib/cli/admin-sockets.ts'
import { UsageError, type CommandCall, type CommandSpec } from '../../lib/cli/command.ts'
import { AdminUnreachableError, requestAdminJson } from '../../lib/http/admin-client.ts'
import { headedTable, terminalText } from '../../lib/observe/text-table.ts'
import { shieldReport, type SeenRow, type ShieldReport } from '../../lib/shield/seen-row.ts'
import { shields } from '../../lib/shield/shields.ts'
import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { refusedUnder, unmatchedUnder } from '../shield/dry-run.ts'
import { longestReport, mergedReport, readReport } from '../shield/merged-report.ts'
import { isIncomplete, suggestedPolicy, suggestedSubjects } from '../shield/suggestion.ts'

const day: Milliseconds = 86_400_000
const usualDays = 30
const shownRows: Count = 100
const wouldRefuseNothing = 'The policy would refuse nothing that was seen.\n'
const shownRules: Count = 20

/** `shield`: who was seen, and who would be refused. */
export function shieldCommand(): CommandSpec {
  return {
    name: 'shield',
    summary: 'show which programs in guests would be refused if every shield were enforced',
    description: `Lists the programs that the agent of this host has seen, or with --from those that several agents have seen, by project, network and instance: what they request, how
often, and which shields they do not pass: no session token, forwarded inside the guest, another Host. With --suggest prints a policy
that refuses nothing that was seen; with --policy shows what a policy would refuse of it. Changes nothing.`,
    options: [
      adminOption('agent'),
      { flags: '--days <n>', help: 'what was seen in the last days', defaultText: `${usualDays}` },
      { flags: '--suggest', help: 'print a policy file that would refuse nothing seen' },
      {
        flags: '--by <subject>',
        help: 'with --suggest: rules for each project, network or instance',
        defaultText: 'project',
      },
      { flags: '--policy <file>', help: 'list only what this policy would refuse' },
      {
        flags: '--from <file>',
        help: 'instead of querying the agent: what "overlapd shield --json" printed on a host; for several hosts together, repeat it',
        repeatable: true,
      },
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [
      ['overlapd shield', 'who is there, and who would be refused?'],
      ['overlapd shield --suggest --days 14 > shield.yaml', 'a policy for those who are ready'],
      ['overlapd shield --policy shield.yaml', 'would that refuse any of them?'],
      ['overlapd shield --from a.json --from b.json --suggest', 'a policy for two hosts'],
    ],
    exitCodes: [
      [0, 'printed; with --policy: it would refuse nothing that was seen'],
      [
        1,
        '--policy: it would refuse some; --suggest: more guests were seen than the agent remembers',
      ],
      [2, 'called wrongly, the policy or a report cannot be read, or the agent does not answer'],
    ],
    async run(call) {
      const { options, terminal } = call
      const period = (options.integer('days', { min: 1, max: 3_650 }) ?? usualDays) * day
      const by = suggestedSubjects.find((one) => one === (options.text('by') ?? 'project'))
      if (by === undefined) throw new UsageError(`--by must be ${suggestedSubjects.join(' or ')}`)
      const policy = options.text('policy')
      const { report: whole, of } = await wholeReport(call)
      const since = whole.now - period
      const report = { ...whole, seen: whole.seen.filter(({ lastAt }) => lastAt >= since) }
      if (options.flag('suggest')) {
        terminal.out(suggestedPolicy(report, { by, period }))
        return isIncomplete(report, since) ? 1 : 0
      }
      if (policy === undefined) {
        terminal.out(options.flag('json') ? jsonText(report) : `${of}\n${reportText(report)}`)
        return 0
      }
      const refused = refusedUnder(policy, report.seen, since)
      const unmatched = unmatchedUnder(policy, whole.seen)
      if (options.flag('json')) {
        terminal.out(
          jsonText({ ...report, policy: { ...report.policy, unmatched }, seen: refused }),
        )
      } else {
        const text = refused.length === 0 ? wouldRefuseNothing : rowsText(refused)
        terminal.out([...unmatchedLines(unmatched), text].join('\n'))
      }
      return refused.length === 0 ? 0 : 1
    },
  }
}

/** @returns it, and one line for a person on whose it is */
async function wholeReport(
  call: CommandCall,
): Promise<{ readonly report: ShieldReport; readonly of: string }> {
  const files = call.options.list('from')
  const [first, ...others] = files
  if (first === undefined) {
    const of = 'What one agent saw; of several agents, each reports for itself (--from).'
    return { report: await fetchReport(call), of }
  }
  if (call.options.text('agent') !== undefined) {
    throw new UsageError('--from and --agent exclude each other')
  }
  const report = mergedReport([readReport(first), ...others.map(readReport)])
  return { report, of: `${files.length} reports together; the policy is that of the first.` }
}

async function fetchReport(call: CommandCall): Promise<ShieldReport> {
  const address = adminAddress('agent', call)
  const { value } = await requestAdminJson(address, '/shield', { bodyLimit: longestReport })
  const { data } = shieldReport.safeParse(value)
  if (data !== undefined) return data
  throw new AdminUnreachableError(address, new Error('the agent has no report of this form'))
}

function reportText(report: ShieldReport): string {
  const { policy, seen, forgottenAt } = report
  const head = [
    policy.file === undefined
      ? 'No policy file: every shield is observed, none refuses.'
      : `Policy ${terminalText(policy.file)}, ${policy.rules} rules, of ${timeText(policy.loadedAt)}.`,
    ...(policy.refusal === undefined
      ? []
      : [`The file as it is now is not used: ${terminalText(policy.refusal)}`]),
    ...unmatchedLines(policy.unmatched),
    ...(forgottenAt === undefined
      ? []
      : [`More guests were seen than the agent remembers, until ${timeText(forgottenAt)}.`]),
  ]
  const ready = seen.filter(({ findings }) => findings.token === undefined).length
  const sum = `${seen.length} rows, ${ready} of them ready for tokens.`
  return `${head.join('\n')}\n\n${seen.length === 0 ? 'No guest was seen.\n' : rowsText(seen)}${sum}\n`
}

function unmatchedLines(rules: readonly string[]): readonly string[] {
  if (rules.length === 0) return []
  const more = rules.length - shownRules
  return [
    `No guest was seen for ${rules.length} rules; is each id right?`,
    ...rules.slice(0, shownRules).map((name) => `  ${terminalText(name)}`),
    ...(more > 0 ? [`  … and ${more} more, see --json`] : []),
  ]
}

const headings = ['project', 'network', 'instance', 'program', 'documents', 'requests']

/** The last seen first. */
function rowsText(rows: readonly SeenRow[]): string {
  const shown = rows.toSorted((one, other) => other.lastAt - one.lastAt).slice(0, shownRows)
  const cells = shown.map((row) => [
    row.projectId,
    row.networkId,
    row.instanceId,
    row.client,
    row.documents,
    String(row.requests),
    ...shields.map((shield) => String(row.findings[shield]?.requests ?? '')),
    timeText(row.lastAt),
    row.lastTarget,
  ])
  const columns = [...headings, ...shields.map((shield) => `not ${shield}`), 'last', 'path']
  const more =
    rows.length > shown.length ? `… and ${rows.length - shown.length} more, see --json\n` : ''
  return `${headedTable(
    columns,
    cells.map((row) => row.map(terminalText)),
  )}${more}`
}

function timeText(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ')
}
