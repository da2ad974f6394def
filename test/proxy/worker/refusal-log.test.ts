import t from 'tap'
import { silentLogger, type LogFields, type Logger } from '../../../lib/log.ts'
import { RefusalLog } from '../../../proxy/worker/refusal-log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

t.test('RefusalLog writes a bounded number of lines and says how many it kept back', async (t) => {
  const clock = new FakeClock()
  const lines: LogFields[] = []
  const logger: Logger = {
    ...silentLogger,
    isLevelEnabled: (level) => level !== 'debug',
    info: (fields) => lines.push(fields),
  }
  const log = new RefusalLog(logger, clock)

  for (let count = 0; count < 50; count += 1) log.write('ambiguous_framing', () => ({ count }))
  log.write('malformed_request', () => t.fail('debug is not enabled') && {})
  await clock.advance(10_000)
  log.write('ambiguous_framing', () => ({ count: 50 }))

  t.equal(lines.length, 21)
  t.match(lines[0], { reason: 'ambiguous_framing', count: 0 })
  t.match(lines[20], { count: 50, suppressed: 30 })
})
