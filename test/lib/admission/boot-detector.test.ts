import t from 'tap'
import { BootDetector } from '../../../lib/admission/boot-detector.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const minute = 60_000

function watch(clock: FakeClock): BootDetector {
  return new BootDetector({
    clock,
    requests: 3,
    period: 2 * minute,
    silence: 10 * minute,
    max: 100,
  })
}

t.test('BootDetector takes the first requests of an instance for its boot', async (t) => {
  const boots = watch(new FakeClock())
  t.strictSame(
    [1, 2, 3, 4, 5].map(() => boots.noteRequest('a')),
    [true, true, true, false, false],
  )
  t.equal(boots.noteRequest('b'), true, 'each instance by itself')
})

t.test('BootDetector ends a boot after its period', async (t) => {
  const clock = new FakeClock()
  const boots = watch(clock)
  t.equal(boots.noteRequest('a'), true)
  await clock.advance(2 * minute - 1)
  t.equal(boots.noteRequest('a'), true)
  await clock.advance(1)
  t.equal(boots.noteRequest('a'), false)
})

t.test(
  'BootDetector sees another boot after a long silence, and none in a steady poller',
  async (t) => {
    const clock = new FakeClock()
    const boots = watch(clock)
    for (let request = 0; request < 4; request += 1) boots.noteRequest('a')
    for (let poll = 0; poll < 20; poll += 1) {
      await clock.advance(9 * minute)
      t.equal(boots.noteRequest('a'), false)
    }
    await clock.advance(10 * minute)
    t.strictSame(
      [1, 2, 3, 4].map(() => boots.noteRequest('a')),
      [true, true, true, false],
    )
  },
)

t.test('BootDetector with no requests for a boot sees none', async (t) => {
  const boots = new BootDetector({
    clock: new FakeClock(),
    requests: 0,
    period: minute,
    silence: minute,
    max: 2,
  })
  t.equal(boots.noteRequest('a'), false)
})
