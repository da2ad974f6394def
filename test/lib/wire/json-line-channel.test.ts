import { PassThrough, Writable } from 'node:stream'
import t, { type Test } from 'tap'
import { JsonLineChannel, type ChannelBreach } from '../../../lib/wire/json-line-channel.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function open(t: Test, output: Writable = new PassThrough()) {
  const input = new PassThrough()
  const values: unknown[] = []
  const ends: (ChannelBreach | undefined)[] = []
  const clock = new FakeClock()
  const channel = new JsonLineChannel({
    input,
    output,
    longestLine: 100,
    clock,
    onValue: (value) => values.push(value),
    onEnd: (breach) => ends.push(breach),
  })
  t.teardown(() => channel.close())
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      setImmediate(resolve)
    })
  return { input, values, ends, clock, channel, turn }
}

t.test('values arrive one by one, and the end is reported once', async (t) => {
  const { input, values, ends, turn } = open(t)
  input.write('{"a":1}\n"b"\n')
  await turn()
  t.strictSame(values, [{ a: 1 }, 'b'])
  input.end()
  await turn()
  await turn()
  t.strictSame(ends, [undefined])
})

for (const [what, bytes] of [
  ['what is no JSON', 'nonsense\n'],
  ['a line that is too long', '1'.repeat(101)],
  ['deeply nested brackets', `${'['.repeat(90)}\n`],
] as const) {
  t.test(`${what} ends the channel`, async (t) => {
    const { input, values, ends, turn } = open(t)
    input.write(bytes)
    await turn()
    input.write('"more"\n')
    await turn()
    t.strictSame([values, ends], [[], ['nonsense']])
  })
}

t.test('more lines in a second than any side has to send end the channel', async (t) => {
  const { input, values, ends, clock, turn } = open(t)
  input.write('1\n'.repeat(2_000))
  await turn()
  await clock.advance(1_000)
  input.write('1\n'.repeat(2_000))
  await turn()
  t.strictSame(ends, [])
  input.write('1\n')
  await turn()
  t.strictSame(ends, ['flood'])
  t.equal(values.length, 4_000)
})

t.test('whoever does not read what is sent is ended, and nothing waits for it', async (t) => {
  const stuck = new Writable({ write: () => undefined })
  const { channel, ends } = open(t, stuck)
  const large = 'x'.repeat(2 ** 20)
  for (let sent = 0; sent < 20; sent += 1) channel.send(large)
  t.strictSame(ends, ['unread'])
  t.equal(stuck.destroyed, true)
})
