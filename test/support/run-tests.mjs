// Runs test files, each in a process of its own, and prints a line per file, the output of files that failed, each
// reason for a skip, and at the end "N passed, N failed". A file that failed has failed: nothing runs twice.
//
// Arguments are test files or folders; none means all. Options: --jobs=N files at a time (default: one for each
// processor), --timeout=SECONDS for one file, --coverage to hold each folder of coverage-floor.json to its floor.
//
// Where OVERLAPD_TEST_COUNTS names a file, the counts are added to it as a line "PASSED FAILED", for whoever sums up several
// runs; the last line then says that these are not all.
import { spawn } from 'node:child_process'
import { appendFileSync, readdirSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { Coverage } from './coverage.mjs'

const { values: options, positionals } = parseArgs({
  options: {
    jobs: { type: 'string', default: String(availableParallelism()) },
    timeout: { type: 'string', default: '400' },
    coverage: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})
const { OVERLAPD_TEST_COUNTS: countsFile, ...environment } = process.env
const stripTypes = new URL('strip-types.mjs', import.meta.url)
const skips = new Map()
const coverage = options.coverage ? new Coverage() : undefined

/** A folder stands for the tests in it, whatever is below. */
function filesAt(path) {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(path, name))
    .toSorted()
}

/** Runs one file to its end, or until its time is over. */
async function runFile(name) {
  const began = performance.now()
  const child = spawn(
    process.execPath,
    [`--import=${stripTypes}`, '--enable-source-maps', '--no-warnings', name],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...environment, ...coverage?.environmentOf(name), TAP_TIMEOUT: options.timeout },
    },
  )
  const exited = new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)))
  let isLate = false
  // tap ends a file that takes too long by itself, and can say where; this is for one that is beyond that.
  const limit = setTimeout(
    () => {
      isLate = true
      child.kill('SIGKILL')
    },
    (Number(options.timeout) + 10) * 1_000,
  )
  const output = await text(child.stdout)
  const code = await exited
  clearTimeout(limit)
  const seconds = ((performance.now() - began) / 1_000).toFixed(1)
  const counts = count(output.split('\n'))
  // A file can fail as a whole: it ended too early, or took too long.
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  const isGood = counts.failed === 0 && counts.passed + counts.skipped > 0
  if (!isGood && counts.failed === 0) counts.failed = 1
  if (!isGood) process.stdout.write(output)
  const note = isLate ? '  took too long' : ''
  process.stdout.write(`${isGood ? 'ok    ' : 'FAILED'} ${name}  ${seconds} s${note}\n`)
  if (isGood) for (const remark of counts.remarks) process.stdout.write(`  ${remark}\n`)
  return counts
}

/** Counts the assertions of one file. A subtest's own line sums up the lines inside it, which count already. */
function count(lines) {
  /** @type {string[]} */
  const remarks = []
  const counts = { passed: 0, failed: 0, skipped: 0, remarks }
  for (const line of lines) {
    // What the tests found out, apart from passing. tap's own lines have the same form.
    const remark =
      /^ *# (?!Subtest: |time=|No coverage|\{ |no tests|test count|failed \d)(.*?) *$/.exec(line)
    if (remark) remarks.push(remark[1])
    const point = /^ *(not ok|ok) \d+(.*)$/.exec(line)
    if (!point) continue
    const skip = / # SKIP ?(.*)$/i.exec(point[2])
    if (skip) {
      const reason = skip[1] || 'no reason given'
      skips.set(reason, (skips.get(reason) ?? 0) + 1)
      counts.skipped += 1
    } else if (/ # TODO/i.test(point[2]) || /# time=/.test(point[2])) continue
    else if (point[1] === 'ok') counts.passed += 1
    else counts.failed += 1
  }
  return counts
}

const waiting = (positionals.length > 0 ? positionals : ['test']).flatMap(filesAt)
const results = []
async function lane() {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    results.push(await runFile(name))
  }
}
await Promise.all(Array.from({ length: Number(options.jobs) }, lane))

const belowFloor = await coverage?.check((line) => process.stdout.write(`${line}\n`))
if (belowFloor > 0) results.push({ passed: 0, failed: belowFloor, skipped: 0 })
for (const [reason, times] of skips) process.stdout.write(`skipped ${times}: ${reason}\n`)
const sum = (of) => results.reduce((total, file) => total + file[of], 0)
const [passed, failed, skipped] = [sum('passed'), sum('failed'), sum('skipped')]
const counts = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
process.stdout.write(countsFile === undefined ? `${counts}\n` : `in this part: ${counts}\n`)
if (countsFile !== undefined) appendFileSync(countsFile, `${passed} ${failed}\n`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
