import t from 'tap'
import { LogWindow } from '../../../lib/observe/log-window.ts'
import { FakeClock } from '../../support/fake-clock.ts'

t.test(
  'LogWindow admits so many lines of a key in ten seconds, and reports the others',
  async (t) => {
    const clock = new FakeClock()
    const left: unknown[] = []
    const onSuppressed = (...all: unknown[]) => void left.push(all)
    const window = new LogWindow<string>({ clock, most: 2, onSuppressed })
    t.strictSame(
      [1, 2, 3, 4].map(() => window.admit('a')),
      [true, true, false, false],
    )
    t.equal(window.admit('b'), true, 'another key has lines of its own')
    await clock.advance(9_999)
    t.equal(window.admit('a'), false)
    t.strictSame(left, [])
    await clock.advance(1)
    t.strictSame(left, [['a', { suppressed: 3, seconds: 10 }]])
    t.equal(window.admit('a'), true)
    await clock.advance(10_000)
    t.equal(left.length, 1, 'nothing was left out')
  },
)
