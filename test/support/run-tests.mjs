// Runs the whole suite with tap and says what matters: a line per file, the output of files that failed, each reason
// for a skip, and at the end "N passed, N failed". Arguments are test files, folders or options of tap; none means all.
//
// A file that failed is run once more, alone: with real processes and namespaces on a busy machine a time limit may be
// over before its time. One that then passes is named as unsteady; one that fails twice has failed.
//
// Where OVERLAPD_TEST_COUNTS names a file, the counts are added to it as a line "PASSED FAILED", for whoever sums up several
// runs; the last line then says that it is not all.
import { spawn } from 'node:child_process'
import { appendFileSync, existsSync } from 'node:fs'
import { createInterface } from 'node:readline'

const reasons = new Map()

/** Runs tap once and prints as it goes. */
async function runTap(words) {
  const tap = spawn(
    process.execPath,
    ['node_modules/tap/dist/esm/run.mjs', 'run', '--reporter=tap', ...words],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const ended = new Promise((resolve) => tap.once('exit', (code) => resolve(code ?? 1)))
  const files = []
  const expired = new Set()
  let lines = []
  for await (const line of createInterface({ input: tap.stdout })) {
    noteSkip(line)
    const late = /^  expired: (.*)$/.exec(line)
    if (late) expired.add(late[1])
    const file = /^(not ok|ok) \d+ - (.*?)(?: # (.*))?$/.exec(line)
    if (!file) {
      lines.push(line)
      continue
    }
    const [, verdict, name, note = ''] = file
    if (!existsSync(name)) {
      process.stdout.write(`${lines.join('\n')}\n${line}\n`)
      lines = []
      continue
    }
    if (verdict === 'not ok') process.stdout.write(`${lines.join('\n')}\n`)
    process.stdout.write(`${verdict === 'ok' ? 'ok    ' : 'FAILED'} ${name}  ${note}\n`)
    if (verdict === 'ok') for (const text of remarks(lines)) process.stdout.write(`  ${text}\n`)
    files.push({ name, ok: verdict === 'ok', ...count(lines, verdict) })
    lines = []
  }
  const exit = await ended
  // A file that took too long may have no line of its own.
  for (const name of expired) {
    if (files.some((file) => file.name === name)) continue
    process.stdout.write(`FAILED ${name}  took too long\n`)
    files.push({ name, ok: false, passed: 0, failed: 1, skipped: 0 })
  }
  if (exit !== 0 && files.every(({ ok }) => ok)) {
    process.stdout.write(`${lines.join('\n')}\n`)
    files.push({ name: undefined, ok: false, passed: 0, failed: 1, skipped: 0 })
  }
  return files
}

/** What the tests of a file found out, apart from passing. tap's own lines have the same form. */
function remarks(lines) {
  return lines.flatMap((line) => {
    const remark =
      /^ +# (?!Subtest: |time=|No coverage|\{ |no tests|test count|failed \d)(.*?) *$/.exec(line)
    return remark ? [remark[1]] : []
  })
}

function noteSkip(line) {
  const skip = /^\s*(?:not ok|ok) \d+.*# SKIP ?(.*)$/i.exec(line)
  if (!skip) return
  const reason = skip[1] || 'no reason given'
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
}

/** Counts the assertions of one file. A subtest's own line sums up the lines inside it, which count already. */
function count(lines, verdict) {
  let passed = 0
  let failed = 0
  let skipped = 0
  for (const line of lines) {
    const point = /^ +(not ok|ok) \d+(.*)$/.exec(line)
    if (!point) continue
    if (/ # SKIP/i.test(point[2])) skipped += 1
    else if (/ # TODO/i.test(point[2]) || /# time=/.test(point[2])) continue
    else if (point[1] === 'ok') passed += 1
    else failed += 1
  }
  // A file can fail as a whole: it ended too early, or took too long.
  if (verdict === 'not ok' && failed === 0) failed = 1
  return { passed, failed, skipped }
}

const words = process.argv.slice(2)
const { OVERLAPD_TEST_COUNTS: countsFile } = process.env
// Tests that run tests are not to be counted twice.
delete process.env.OVERLAPD_TEST_COUNTS
const first = await runTap(words)
const failed = first.filter(({ ok, name }) => !ok && name !== undefined)
const options = words.filter((word) => word.startsWith('--') && !word.startsWith('--jobs'))
const results = new Map(first.map((file) => [file.name, file]))
if (failed.length > 0) {
  process.stdout.write(`running ${failed.length} failed files once more, one at a time\n`)
  const second = await runTap([...options, '--jobs=1', ...failed.map(({ name }) => name)])
  for (const file of second) {
    results.set(file.name, file)
    if (file.ok) process.stdout.write(`unsteady: ${file.name} failed once and passed alone\n`)
  }
}
for (const [reason, times] of reasons) process.stdout.write(`skipped ${times}: ${reason}\n`)
const sum = (of) => [...results.values()].reduce((total, file) => total + file[of], 0)
const skipped = sum('skipped')
const counts = `${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
process.stdout.write(countsFile === undefined ? `${counts}\n` : `in this part: ${counts}\n`)
if (countsFile !== undefined) appendFileSync(countsFile, `${sum('passed')} ${sum('failed')}\n`)
process.exitCode = sum('failed') > 0 || sum('passed') === 0 ? 1 : 0
