/** Attacks the service in every known way for as long as wanted, and says what came of it. */
import { readOptions } from '../support/read-options.ts'
import { writeFileSync } from 'node:fs'
import { attackClasses } from './all.ts'
import type { AttackClass, Forwarding } from './attack-class.ts'
import { runClass, type ClassResult } from './class-process.ts'
import { hasHeld, resultText } from './result-text.ts'

const help = `Attacks overlapd on this machine and reports what was tried, by class.

Usage: npm run test:attack -- [--minutes N] [--seed S] [--only CLASS]... [--forwarding agent|direct|both] [--json FILE]

  --minutes N   time for all classes together (default 5)
  --seed S      repeats a run; a new one is drawn and printed otherwise
  --only CLASS  run only this class; may be repeated
  --forwarding  agent: everything goes to the agent; direct: under leases straight to compute; both (default)
  --json FILE   write the report as JSON

Classes:
${attackClasses.map(({ name, what }) => `  ${name.padEnd(16)} ${what}`).join('\n')}

Needs root for most of them, Linux, and the build (npm makes it). Exit code 1 when something was accepted, crashed or
answered wrongly, when another guest went unanswered, or when a class could not do its work.
`

/** Between two lines of progress, in milliseconds. */
const progressEvery = 5_000

interface Step {
  readonly attack: AttackClass
  readonly forwarding: Forwarding
}

function stepsOf(only: readonly string[], forwardings: readonly Forwarding[]): readonly Step[] {
  return attackClasses
    .filter(({ name }) => only.length === 0 || only.includes(name))
    .flatMap((attack) => {
      const { forwarding = ['agent', 'direct'] } = attack
      const fitting = forwardings.filter((one) => forwarding.includes(one))
      // What knows nothing of forwarding is attacked in every run, once.
      const wanted = attack.forwarding?.length === 1 ? attack.forwarding : fitting
      return wanted.map((one) => ({ attack, forwarding: one }))
    })
}

async function runSteps(
  steps: readonly Step[],
  minutes: number,
  seed: number,
): Promise<ClassResult[]> {
  const shares = steps.reduce((sum, { attack }) => sum + (attack.share ?? 1), 0)
  const results: ClassResult[] = []
  for (const { attack, forwarding } of steps) {
    const { name, share = 1, needsRoot } = attack
    if (needsRoot && process.getuid?.() !== 0) {
      process.stdout.write(`${name}: left out, it needs root\n`)
      continue
    }
    const seconds = (minutes * 60 * share) / shares
    process.stdout.write(`${name} (${forwarding}): ${seconds.toFixed(0)} s, seed ${seed}\n`)
    let printed = performance.now()
    const result = await runClass({ name, seed, seconds }, forwarding, (report) => {
      if (performance.now() - printed < progressEvery) return
      printed = performance.now()
      const { tried, accepted, crashed, wrong, othersTried, othersFailed } = report
      process.stdout.write(
        `  ${tried} tried, ${accepted} accepted, ${crashed} crashed, ${wrong} wrong; ${othersFailed} of ${othersTried} others failed\n`,
      )
    })
    process.stdout.write(`  ${hasHeld(result) ? 'held' : 'FAILED'}\n`)
    results.push(result)
  }
  return results
}

async function main(): Promise<number> {
  const { values } = readOptions(
    {
      options: {
        minutes: { type: 'string', default: '5' },
        seed: { type: 'string' },
        only: { type: 'string', multiple: true, default: [] },
        forwarding: { type: 'string', default: 'both' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    },
    help,
  )
  const minutes = Number(values.minutes)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
  const forwardings = (['agent', 'direct'] as const).filter(
    (one) => values.forwarding === one || values.forwarding === 'both',
  )
  const unknown = values.only.filter((name) => !attackClasses.some((one) => one.name === name))
  const isUsable = minutes > 0 && Number.isInteger(seed) && forwardings.length > 0
  if (values.help || !isUsable || unknown.length > 0) {
    for (const name of unknown) process.stderr.write(`attack: no class is called "${name}"\n`)
    process[values.help ? 'stdout' : 'stderr'].write(help)
    return values.help ? 0 : 2
  }
  process.stdout.write(`seed ${seed}\n`)
  const results = await runSteps(stepsOf(values.only, forwardings), minutes, seed)
  process.stdout.write(`\n${resultText(results, seed)}`)
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ seed, minutes, results }, undefined, 2)}\n`)
  }
  return results.length > 0 && results.every(hasHeld) ? 0 : 1
}

process.exitCode = await main()
