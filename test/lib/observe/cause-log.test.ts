import t from 'tap'
import { CauseLog } from '../../../lib/observe/cause-log.ts'
import { createLogger } from '../../../lib/runtime/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

t.test('CauseLog writes a cause once, and how many more it stopped', async (t) => {
  const lines: Record<string, unknown>[] = []
  const destination = {
    write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  }
  const clock = new FakeClock()
  const logger = createLogger({ component: 'x', level: 'info', destination })
  const log = new CauseLog(logger, clock, 'error', 'Cannot')
  for (let count = 0; count < 300; count += 1) log.note(`n-${count}`, 'EPERM')
  log.note('other', 'EMFILE')
  t.match(lines, [
    { level: 'error', message: 'Cannot', netns: 'n-0', cause: 'EPERM' },
    { netns: 'other', cause: 'EMFILE' },
  ])
  await clock.advance(10_000)
  t.equal(lines.length, 3)
  t.match(lines[2], { cause: 'EPERM', more: 299, netns: ['n-1', 'n-2', 'n-3', 'n-4', 'n-5'] })
  log.note('n-0', 'EPERM')
  t.equal(lines.length, 4)
  t.equal(clock.waiting, 1)
})

t.test('CauseLog takes causes that differ in the place they name for one', async (t) => {
  const lines: unknown[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  const clock = new FakeClock()
  const logger = createLogger({ component: 'x', level: 'info', destination })
  const log = new CauseLog(logger, clock, 'warn', 'Cannot')
  for (const netns of ['qrouter-a', 'qrouter-b']) log.note(netns, `EMFILE, open '/netns/${netns}'`)
  t.match(lines, [{ cause: "EMFILE, open '/netns/qrouter-a'" }])
  await clock.advance(10_000)
  t.match(lines.slice(1), [{ cause: "EMFILE, open '/netns/*'", more: 1, netns: ['qrouter-b'] }])
})
