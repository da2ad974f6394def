import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { headedTable } from '../../lib/text-table.ts'
import type { BenchRow } from './row.ts'
import { scenarios } from './scenarios.ts'

const help = `Measures overlapd on this machine: real namespaces, real guests' sockets, a constant upstream.

Usage: npm run bench -- [--quick] [--json FILE] [--only NAME]...

  --quick      fewer requests and smaller networks; ratios, not records
  --json FILE  write all rows as JSON
  --only NAME  run only this scenario; may be repeated

Scenarios:
${scenarios.map(({ name, what }) => `  ${name.padEnd(12)} ${what}`).join('\n')}

Needs root. CPU per request is the figure to compare: user and system time of all our processes.
`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  const unknown = values.only.filter(
    (name) => !scenarios.some((scenario) => scenario.name === name),
  )
  if (unknown.length > 0) {
    process.stderr.write(`bench: no scenario is called "${unknown.join('", "')}"\n${help}`)
    return 2
  }
  const rows: BenchRow[] = []
  for (const scenario of scenarios) {
    if (values.only.length > 0 && !values.only.includes(scenario.name)) continue
    rows.push(
      ...(await scenario.run({
        quick: values.quick,
        progress: (text) => process.stderr.write(`bench: ${text}\n`),
      })),
    )
  }
  process.stdout.write(`${headedTable(headings, rows.map(cells))}\n`)
  if (values.json !== undefined) {
    await writeFile(values.json, `${JSON.stringify({ rows, ratios: {} }, undefined, 2)}\n`)
  }
  const bad = rows.filter((row) => (row.errors ?? 0) > 0 || (row.wrong ?? 0) > 0)
  for (const row of bad)
    process.stderr.write(`bench: ${row.name}: ${row.errors} errors, ${row.wrong} wrong\n`)
  return bad.some((row) => (row.wrong ?? 0) > 0) ? 1 : 0
}

const headings = [
  'scenario',
  'side',
  'c',
  'keep-alive',
  'req/s',
  'p50 ms',
  'p99 ms',
  'CPU ms/req',
  'PSS MiB',
  's',
  'errors',
  'wrong',
]

function cells(row: BenchRow): string[] {
  const number = (value: number | null, digits: number): string => value?.toFixed(digits) ?? '-'
  return [
    row.name,
    row.side,
    number(row.connections, 0),
    row.keepAlive === null ? '-' : row.keepAlive ? 'yes' : 'no',
    number(row.requestsPerSecond, 0),
    number(row.p50Ms, 2),
    number(row.p99Ms, 2),
    number(row.cpuMsPerRequest, 3),
    number(row.pssMiB, 0),
    number(row.seconds, 2),
    number(row.errors, 0),
    number(row.wrong, 0),
  ]
}

process.exitCode = await main()
