/** The short form of `npm run test:attack`: every class for a moment, always with the same seed. */
import t from 'tap'
import { attackClasses } from './all.ts'
import { runClass } from './class-process.ts'

const seed = Number(process.env['OVERLAPD_TEST_SEED'] ?? 20_261_130)
/** All classes together take a minute, whatever their number. */
const seconds = Math.min(4, 30 / attackClasses.length)

t.jobs = 2
for (const { name, what, needsRoot, forwarding: [way = 'agent'] = [] } of attackClasses) {
  const skip = needsRoot && process.getuid?.() !== 0 ? 'needs root' : false
  t.test(`${name}: ${what} (seed ${seed})`, { skip }, async (t) => {
    const result = await runClass({ name, seed, seconds }, way)

    t.equal(result.failure, undefined)
    t.strictSame(result.report.findings, [])
    t.ok(result.report.tried > 0, `${result.report.tried} tried`)
  })
}
