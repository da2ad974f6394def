import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import t from 'tap'
import { exportedMetrics } from '../support/exported-metrics.ts'
import { rulesOf } from '../support/monitoring-rules.ts'
import { projectRoot } from '../support/source-files.ts'

const exported = exportedMetrics()

const sections = [
  ['The proxy', /^overlapd_proxy_/],
  ['The agent', /^overlapd_agent_/],
  ['Port directories', /^overlapd_directory_/],
  ['Both daemons', /^(?!overlapd_(?:proxy|agent|directory)_)/],
] as const

function metricsPage(): string {
  const all = [...exported].toSorted(([one], [other]) => (one < other ? -1 : 1))
  const table = (names: RegExp): string =>
    all
      .filter(([name]) => names.test(name))
      .map(([name, { type, labels, help }]) => {
        const shown = [...labels].map((label) => `\`${label}\``).join(', ')
        return `| \`${name}\` | ${type} | ${shown} | ${help.replaceAll('|', '\\|')} |`
      })
      .join('\n')
  return `# Metrics

Every metric there is, made from what the daemons export. Names, types and labels stay within a major version:
[UPGRADING](UPGRADING.md#what-stays-as-it-is). Where to scrape them, and alerts: [prometheus](prometheus/README.md).

${sections
  .map(
    ([title, names]) =>
      `## ${title}\n\n| name | type | labels | what |\n| --- | --- | --- | --- |\n${table(names)}\n`,
  )
  .join('\n')}`
}

/** Metrics that an expression names, in its order. */
function metricsIn(expression: string): readonly string[] {
  const names = expression.match(/\b(?:overlapd|process)_\w+/g) ?? []
  const known = names.map((name) =>
    exported.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, ''),
  )
  return [...new Set(known)].filter((name) => exported.has(name))
}

function runbookPage(): string {
  const alerts = rulesOf('deploy/prometheus/alerts.yaml')
  const parts = alerts.map(({ alert = '', expr, labels, annotations }) => {
    const { summary = '', action = '' } = annotations ?? {}
    const shown = summary.replaceAll(/\{\{ *\$(?:labels\.)?(\w+)[^}]*\}\}/g, '*$1*')
    const metrics = metricsIn(expr).map((name) => `- \`${name}\`: ${exported.get(name)?.help}`)
    return [
      `## ${alert}`,
      `${labels?.['severity']}: ${shown}.`,
      `**Do first:** ${action.replaceAll('{{ $labels.reason }}', 'CODE')}`,
      `\`\`\`\n${expr.trim()}\n\`\`\``,
      metrics.join('\n'),
    ].join('\n\n')
  })
  return `# What to do for each alert

Made from [alerts.yaml](alerts.yaml); the annotation \`runbook_url\` of each alert leads here. After the first step, go on with
[the list for nights](../README.md#when-something-is-wrong).

${parts.join('\n\n')}
`
}

for (const [name, page] of [
  ['deploy/METRICS.md', metricsPage],
  ['deploy/prometheus/RUNBOOK.md', runbookPage],
] as const) {
  t.test(`${name} is what metrics and alerts hold`, async (t) => {
    const path = join(projectRoot, name)
    const options = await resolveConfig(path)
    const expected = await format(page(), { ...options, parser: 'markdown' })
    if (process.env['OVERLAPD_TEST_UPDATE'] === '1') writeFileSync(path, expected)
    t.equal(
      readFileSync(path, 'utf8'),
      expected,
      'run this test with OVERLAPD_TEST_UPDATE=1 to write it anew',
    )
  })
}
