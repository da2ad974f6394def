import t from 'tap'
import { BrokerPulse } from '../../../../../agent-side/ports/neutron-rpc/bus/broker-pulse.ts'
import { FakeClock } from '../../../../support/fake-clock.ts'

function start(interval = 2_000) {
  const clock = new FakeClock()
  const questions: (() => void)[] = []
  const silences: number[] = []
  const seen = { back: 0, gone: 0 }
  const pulse = new BrokerPulse({ clock, interval })
  const begin = (): void =>
    pulse.begin({
      probe: () => new Promise<void>((resolve) => questions.push(resolve)),
      silent: (since) => silences.push(since),
      back: () => (seen.back += 1),
      gone: () => (seen.gone += 1),
    })
  begin()
  return { clock, questions, silences, seen, pulse, begin }
}

t.test('a broker that answers is queried once an interval', async (t) => {
  const { clock, questions, silences } = start()
  for (let second = 0; second < 60; second += 1) {
    await clock.advance(1_000)
    questions.at(-1)?.()
  }
  t.equal(questions.length, 30)
  t.strictSame(silences, [])
})

t.test(
  'one that does not answer is silent within two intervals, and gone within five',
  async (t) => {
    const { clock, questions, silences, seen } = start()
    const begun = clock.now()
    await clock.advance(3_999)
    t.strictSame(silences, [])
    await clock.advance(1)
    t.strictSame(silences, [begun], 'since the last question that it answered')
    await clock.advance(5_999)
    t.equal(seen.gone, 0)
    await clock.advance(60_000)
    t.equal(questions.length, 1)
    t.equal(silences.length, 1)
    t.strictSame(seen, { back: 0, gone: 1 })
  },
)

t.test('one that was only busy is back with its answer', async (t) => {
  const { clock, questions, silences, seen } = start()
  await clock.advance(6_000)
  t.equal(silences.length, 1)
  questions[0]!()
  await clock.advance(2_000)
  t.strictSame(seen, { back: 1, gone: 0 })
  t.equal(questions.length, 2)
})

t.test('time in which this process did not run counts for nothing', async (t) => {
  const { clock, questions, silences } = start()
  await clock.advance(2_000)
  clock.pass(3_600_000)
  await clock.advance(0)
  t.strictSame(silences, [], 'its answer may lie there unread')
  questions[0]!()
  await clock.advance(1_000)
  t.strictSame(silences, [])
})

t.test('an answer of the broker before proves nothing of the one that followed', async (t) => {
  const { clock, questions, silences, begin } = start()
  await clock.advance(2_000)
  begin()
  await clock.advance(2_000)
  questions[0]!()
  await clock.advance(2_000)
  t.equal(silences.length, 1)
})

t.test('no broker is queried after the end, or with an interval of 0', async (t) => {
  const { clock, questions, pulse } = start()
  pulse.end()
  const off = start(0)
  await clock.advance(60_000)
  await off.clock.advance(60_000)
  t.equal(questions.length + off.questions.length, 0)
  t.equal(clock.waiting + off.clock.waiting, 0)
})
