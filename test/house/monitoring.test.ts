import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isReasonCode } from '../../lib/runtime/reason-codes.ts'
import { parseYaml } from '../../lib/files/yaml.ts'
import { exportedMetrics, type Exported } from '../support/exported-metrics.ts'
import { rulesOf } from '../support/monitoring-rules.ts'
import { projectPaths, projectRoot } from '../support/source-files.ts'

interface Expression {
  readonly where: string
  readonly text: string
}

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8')

const exported = exportedMetrics()
/** What Prometheus adds to each series. */
const added = ['job', 'instance']

const recording = rulesOf('deploy/prometheus/recording-rules.yaml')
const alerts = rulesOf('deploy/prometheus/alerts.yaml')
const recorded = new Set(recording.map(({ record }) => record))

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: {
    readonly h: number
    readonly w: number
    readonly x: number
    readonly y: number
  }
  readonly targets?: readonly { readonly expr: string }[]
}

interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly definition?: string }[]
  }
}

const dashboardPath = 'deploy/grafana/overlapd-dashboard.json'
const dashboard = JSON.parse(read(dashboardPath)) as Dashboard

function expressions(): readonly Expression[] {
  return [
    ...recording.map(({ record, expr }) => ({ where: `record ${record}`, text: expr })),
    ...alerts.map(({ alert, expr }) => ({ where: `alert ${alert}`, text: expr })),
    ...dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ where: `panel ${title}`, text: expr })),
    ),
    ...dashboard.templating.list.flatMap(({ name, definition }) =>
      definition === undefined ? [] : [{ where: `variable ${name}`, text: definition }],
    ),
  ]
}

/** The metric behind a name in an expression: a histogram has three. */
function metricBehind(name: string): Exported | undefined {
  const base = /^(.*)_(?:bucket|sum|count)$/.exec(name)?.[1]
  const histogram = base === undefined ? undefined : exported.get(base)
  if (histogram?.type === 'histogram') {
    const le = name.endsWith('_bucket') ? ['le'] : []
    return { ...histogram, labels: new Set([...histogram.labels, ...le]) }
  }
  const plain = exported.get(name)
  return plain?.type === 'histogram' ? undefined : plain
}

/** What an expression names that nobody exports: metrics, labels, and reason codes that do not exist. */
function problemsOf(text: string): readonly string[] {
  const problems: string[] = []
  const labelsThere = new Set<string>(added)
  for (const [, name = '', , matchers = ''] of text.matchAll(
    /(?<![:\w])((?:[a-z_]+:)?overlapd_[a-z0-9_]+(?::[a-z0-9_]+)?)(\{([^}]*)\})?/g,
  )) {
    if (name.includes(':')) {
      if (!recorded.has(name)) problems.push(`no rule records ${name}`)
      // level:metric:operation, where the level names the labels that are left.
      for (const label of name.split(':')[0]?.split('_') ?? []) labelsThere.add(label)
      continue
    }
    const metric = metricBehind(name)
    if (metric === undefined) {
      problems.push(`nobody exports ${name}`)
      continue
    }
    for (const label of metric.labels) labelsThere.add(label)
    for (const [, label = '', , value = ''] of matchers.matchAll(
      /(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g,
    )) {
      if (!metric.labels.has(label) && !added.includes(label)) {
        problems.push(`${name} has no label ${label}`)
      }
      if (label !== 'reason') continue
      for (const code of value.split('|')) {
        if (!isReasonCode(code) && code !== 'none') problems.push(`there is no reason ${code}`)
      }
    }
  }
  for (const [, list = ''] of text.matchAll(/\b(?:by|without)\s*\(([^)]*)\)/g)) {
    for (const label of list.split(',').map((one) => one.trim())) {
      if (!labelsThere.has(label)) problems.push(`nothing in it has the label ${label}`)
    }
  }
  return problems
}

t.test('everything that rules and dashboard name is exported', async (t) => {
  const all = expressions()
  t.ok(all.length > 100)
  for (const { where, text } of all) {
    t.match(text, /overlapd|^up\{/, where)
    t.strictSame(problemsOf(text), [], where)
  }
})

t.test('a metric that is not exported would be noticed', async (t) => {
  for (const [text, problem] of [
    ['rate(overlapd_proxy_request_total[5m])', 'nobody exports overlapd_proxy_request_total'],
    ['overlapd_agent_request_seconds', 'nobody exports overlapd_agent_request_seconds'],
    ['overlapd_proxy_listeners_count', 'nobody exports overlapd_proxy_listeners_count'],
    ['overlapd_proxy_workers{kind="x"}', 'overlapd_proxy_workers has no label kind'],
    ['sum by (kind) (overlapd_proxy_workers)', 'nothing in it has the label kind'],
    ['overlapd_agent_requests_total{reason=~"no_port|no_prt"}', 'there is no reason no_prt'],
    ['instance:overlapd_nothing:rate5m > 1', 'no rule records instance:overlapd_nothing:rate5m'],
  ] as const) {
    t.strictSame(problemsOf(text), [problem])
  }
  t.strictSame(
    problemsOf('sum by (le, instance) (rate(overlapd_agent_request_seconds_bucket[5m]))'),
    [],
  )
})

t.test('each alert states how bad it is, what happened and what to do', async (t) => {
  const names = alerts.map(({ alert }) => alert)
  t.strictSame([...new Set(names)], names)
  for (const { alert, labels, annotations } of alerts) {
    t.match(alert, /^Overlapd[A-Z]\w+$/)
    t.match(labels?.['severity'], /^(?:critical|warning|info)$/, `${alert}`)
    t.match(annotations?.['summary'], /^\S[^]+[^.]$/, `${alert}`)
    t.match(annotations?.['action'], /^\S[^]+[."]$/, `${alert}`)
    const page = '/usr/share/doc/overlapd/deploy/prometheus/RUNBOOK.md'
    t.equal(annotations?.['runbook_url'], `${page}#${alert?.toLowerCase()}`)
    const labelsUsed = [
      ...Object.values(annotations ?? {})
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g),
    ]
    const { expr } = alerts.find((one) => one.alert === alert) ?? { expr: '' }
    for (const [, label = ''] of labelsUsed) {
      const isThere = added.includes(label) || new RegExp(`by \\([^)]*\\b${label}\\b`).test(expr)
      t.ok(isThere, `${alert}: the expression keeps ${label}`)
    }
  }
})

t.test('the dashboard has a place and an id of its own for each panel', async (t) => {
  const ids = dashboard.panels.map(({ id }) => id)
  t.strictSame([...new Set(ids)], ids)
  const taken = new Map<string, string>()
  for (const { title, gridPos, type, targets = [] } of dashboard.panels) {
    t.ok(gridPos.x + gridPos.w <= 24, title)
    if (type !== 'row') t.ok(targets.length > 0, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        t.equal(taken.get(`${x} ${y}`), undefined, title)
        taken.set(`${x} ${y}`, title)
      }
    }
  }
})

t.test('each file of deploy that claims to be YAML or JSON is', async (t) => {
  const paths = projectPaths(['deploy'])
  for (const path of paths.filter((one) => /\.ya?ml$/.test(one))) t.ok(parseYaml(read(path), path))
  for (const path of paths.filter((one) => one.endsWith('.json'))) t.ok(JSON.parse(read(path)))
  const scrape = parseYaml(read('deploy/prometheus/scrape.yaml'), 'scrape').value
  t.match(scrape, {
    scrape_configs: [{ job_name: 'overlapd-proxy' }, { job_name: 'overlapd-agent' }],
    rule_files: projectPaths(['deploy/prometheus'])
      .map((path) => path.replace('deploy/prometheus/', ''))
      .filter((path) => /(?:rules|alerts)\.yaml$/.test(path))
      .toReversed(),
  })
})
