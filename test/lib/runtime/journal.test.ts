import { fstatSync, openSync } from 'node:fs'
import t from 'tap'
import { isReadByJournal, journalEnvironment, prioritized } from '../../../lib/runtime/journal.ts'

t.test('a line has the priority of its level in front, and any other line has none', async (t) => {
  t.equal(prioritized('{"level":"error","x":1}\n'), '<3>{"level":"error","x":1}\n')
  t.match(prioritized('{"level":"warn"}'), /^<4>/)
  t.match(prioritized('{"level":"info"}'), /^<6>/)
  t.match(prioritized('{"level":"debug"}'), /^<7>/)
  t.equal(prioritized('stack of an exception'), 'stack of an exception')
})

t.test('the journal reads a descriptor when its variable names just that', async (t) => {
  const fd = openSync('/dev/null', 'r')
  const { dev, ino } = fstatSync(fd)
  t.ok(isReadByJournal(fd, { JOURNAL_STREAM: `${dev}:${ino}` }))
  t.notOk(isReadByJournal(fd, { JOURNAL_STREAM: `${dev}:${ino + 1}` }))
  t.notOk(isReadByJournal(fd, {}))
  t.strictSame(journalEnvironment({ JOURNAL_STREAM: '8:1', HOME: '/' }), { JOURNAL_STREAM: '8:1' })
  t.strictSame(journalEnvironment({}), {})
})
