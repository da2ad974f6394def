/** The process of one class of attack: runs it until its time is over and tells how it stands all the while. */
import { causeText } from '../../lib/runtime/errors.ts'
import { SeededRandom } from '../support/random.ts'
import { TeardownList } from '../support/teardowns.ts'
import { attackClasses } from './all.ts'
import type { Forwarding } from './attack-class.ts'
import { ClassReport } from './class-report.ts'
import type { ClassMessage, ClassOrder } from './class-process.ts'

const order = JSON.parse(process.argv[2] ?? '{}') as ClassOrder
const chosen = attackClasses.find(({ name }) => name === order.name)
if (chosen === undefined) throw new Error(`No class of attack is called "${order.name}"`)

const report = new ClassReport()
const teardowns = new TeardownList()
const send = (message: ClassMessage): void => void process.send?.(message)
const progress = setInterval(() => send({ kind: 'progress', report: report.value }), 1_000)
let deadline = performance.now() + order.seconds * 1_000

// The runner may be gone; nothing is left behind then either.
process.once('disconnect', () => void teardowns.run().finally(() => process.exit(1)))

let failure: string | undefined
try {
  await chosen.run({
    seed: order.seed,
    random: new SeededRandom(order.seed ^ hashOf(order.name)),
    begin: () => (deadline = performance.now() + order.seconds * 1_000),
    get deadline() {
      return deadline
    },
    isOver: () => performance.now() >= deadline && report.value.tried > 0,
    forwarding: (process.env['OVERLAPD_TEST_FORWARDING'] ?? 'agent') as Forwarding,
    report,
    t: teardowns,
  })
} catch (cause) {
  failure = cause instanceof Error ? (cause.stack ?? cause.message) : causeText(cause)
}
clearInterval(progress)
for (const cause of await teardowns.run()) failure ??= `cannot clean up: ${causeText(cause)}`
const done: ClassMessage = {
  kind: 'done',
  report: report.value,
  ...(failure !== undefined && { failure }),
}
// Sockets of an attack may still be open: without an exit the process would wait for them.
if (process.send === undefined) process.exit(1)
process.send(done, () => process.exit(0))

/** FNV-1a, so that classes with one seed do not all draw the same numbers. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}
