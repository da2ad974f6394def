import t from 'tap'
import { UnreadAnswers, type UnreadAnswer } from '../../../agent-side/requests/unread-answers.ts'
import { FakeClock } from '../../support/fake-clock.ts'

class Answer implements UnreadAnswer {
  readonly holder: UnreadAnswer['holder']
  readonly cuts: string[] = []
  unreadBytes = 0

  constructor(peer: string, scope = '', source = '') {
    this.holder = { peer, scope, source }
  }

  cutOff(why: string): void {
    this.cuts.push(why)
    this.unreadBytes = 0
  }
}

function write(all: UnreadAnswers, answer: Answer, bytes: number): boolean {
  answer.unreadBytes += bytes
  return all.note(answer)
}

t.test(
  'peer, then scope, then source, then answer: the one that holds most gives way',
  async (t) => {
    const all = new UnreadAnswers({ clock: new FakeClock(), most: 100, mostOfOne: 60 })
    const quiet = new Answer('other', 's', '1')
    const small = new Answer('one', 'small', '1')
    const sameScope = new Answer('one', 'large', '1')
    const little = new Answer('one', 'large', '2')
    const much = new Answer('one', 'large', '2')
    write(all, quiet, 35)
    write(all, small, 18)
    write(all, sameScope, 14)
    write(all, little, 8)
    write(all, much, 10)
    t.strictSame(much.cuts, [])
    write(all, much, 16)
    t.strictSame(much.cuts, ['most_held'])
    for (const one of [quiet, small, sameScope, little]) t.strictSame(one.cuts, [])
    t.equal(all.total, 75)
  },
)

t.test('what was read since does not count', async (t) => {
  const all = new UnreadAnswers({ clock: new FakeClock(), most: 100, mostOfOne: 200 })
  const one = new Answer('one')
  const other = new Answer('other')
  write(all, one, 90)
  one.unreadBytes = 5
  t.equal(write(all, other, 90), true)
  t.strictSame([...one.cuts, ...other.cuts], [])
  all.forget(other)
  all.forget(one)
  t.equal(all.total, 0)
})

t.test('a long one pauses, and is broken off when it stands still', async (t) => {
  const clock = new FakeClock()
  const all = new UnreadAnswers({ clock, most: 100, mostOfOne: 60 })
  const one = new Answer('one')
  t.equal(write(all, one, 60), true)
  t.equal(write(all, one, 1), false)
  const stop = all.waitFor(one)
  await clock.advance(4_999)
  stop()
  all.waitFor(one)
  await clock.advance(4_999)
  t.strictSame(one.cuts, [])
  await clock.advance(1)
  t.strictSame(one.cuts, ['stalled'])
})
