// Runs the whole suite with tap and says what matters: a line per file, the output of files that failed, each reason
// for a skip, and at the end "N passed, N failed". Arguments are test files or folders; none means all.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const files = process.argv.slice(2)
const tap = spawn(
  process.execPath,
  ['node_modules/tap/dist/esm/run.mjs', 'run', '--reporter=tap', ...files],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)

let passed = 0
let failed = 0
let skipped = 0
let ofThisFile = []
const reasons = new Map()

for await (const line of createInterface({ input: tap.stdout })) {
  const leaf = /^\s*(not ok|ok) \d+(.*)$/.exec(line)
  const skip = /# SKIP ?(.*)$/i.exec(line)
  if (leaf && skip) {
    skipped += 1
    const reason = skip[1] || 'no reason given'
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  const file = /^(not ok|ok) \d+ - (.*?)(?: # (.*))?$/.exec(line)
  if (!file) {
    ofThisFile.push(line)
    continue
  }
  const [, verdict, name, note = ''] = file
  if (verdict === 'not ok') process.stdout.write(`${ofThisFile.join('\n')}\n`)
  process.stdout.write(`${verdict === 'ok' ? 'ok    ' : 'FAILED'} ${name}  ${note}\n`)
  for (const inner of ofThisFile) {
    const point = /^( +)(not ok|ok) \d+(.*)$/.exec(inner)
    if (!point || / # (SKIP|TODO)/i.test(point[3])) continue
    // A subtest's own line sums up the lines inside it, which are counted already.
    if (/# time=/.test(point[3])) continue
    if (point[2] === 'ok') passed += 1
    else failed += 1
  }
  if (verdict === 'not ok' && !ofThisFile.some((inner) => /^ +not ok/.test(inner))) failed += 1
  ofThisFile = []
}

const exit = await new Promise((resolve) => {
  if (tap.exitCode === null) tap.once('exit', (code) => resolve(code ?? 1))
  else resolve(tap.exitCode)
})
for (const [reason, count] of reasons) process.stdout.write(`skipped ${count}: ${reason}\n`)
if (exit !== 0 && failed === 0) {
  process.stdout.write(`${ofThisFile.join('\n')}\n`)
  failed = 1
}
process.stdout.write(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
