import t from 'tap'
import { createLogger, silentLogger, type LogLevel } from '../../../lib/runtime/log.ts'
import { RefusalLog } from '../../../lib/observe/refusal-log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function stage(level: LogLevel = 'debug') {
  const lines: Record<string, unknown>[] = []
  const destination = {
    write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  }
  const clock = new FakeClock()
  return {
    lines,
    clock,
    log: new RefusalLog(createLogger({ component: 'x', level, destination }), clock),
  }
}

t.test('RefusalLog writes a refusal at the level of its code', async (t) => {
  const { lines, log } = stage()
  log.write('no_port', () => ({ requestId: 'r-1' }))
  t.match(lines, [
    { level: 'info', reason: 'no_port', requestId: 'r-1', message: 'Request refused' },
  ])
})

t.test(
  'RefusalLog writes few lines of a code in a while, and then how many it left out',
  async (t) => {
    const { lines, clock, log } = stage()
    for (let count = 0; count < 500; count += 1) log.write('no_port', () => ({}))
    const limit = lines.length
    t.ok(limit > 0 && limit <= 20)
    log.write('ambiguous_port', () => ({}))
    t.equal(lines.length, limit + 1, 'each code has its own share')
    await clock.advance(10_000)
    t.match(lines.at(-1), { reason: 'no_port', suppressed: 500 - limit, seconds: 10 })
    t.equal(lines.length, limit + 2, 'of the other code nothing was left out')
    log.write('no_port', () => ({}))
    t.notOk('suppressed' in (lines.at(-1) ?? {}))
    await clock.advance(10_000)
    t.equal(lines.length, limit + 3)
    t.equal(clock.waiting, 0)
  },
)

t.test('RefusalLog makes no fields for lines that are not written', async (t) => {
  const unread = () => t.fail('they were made') as never
  stage('error').log.write('no_port', unread)
  new RefusalLog(silentLogger, new FakeClock()).write('no_port', unread)
  t.pass('none were made')
})
