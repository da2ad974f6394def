import { EventEmitter } from 'node:events'
import t from 'tap'
import { Lifecycle, stopSignal, type Part } from '../../../lib/runtime/lifecycle.ts'
import { createLogger } from '../../../lib/runtime/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function stage() {
  const events: string[] = []
  const logged: string[] = []
  const clock = new FakeClock()
  const logger = createLogger({
    component: 'test',
    level: 'debug',
    destination: { write: (line) => void logged.push(line) },
  })
  const part = (name: string, more: Partial<Part> = {}): Part => ({
    name,
    start: async () => void events.push(`start ${name}`),
    close: async () => void events.push(`close ${name}`),
    ...more,
  })
  return {
    events,
    logged,
    clock,
    part,
    lifecycle: new Lifecycle({ logger, clock, closeLimit: 5_000 }),
  }
}

t.test('Lifecycle starts parts in order and closes them in reverse, once', async (t) => {
  const { events, lifecycle, part } = stage()
  await lifecycle.start([part('a'), part('b'), part('c')])
  await Promise.all([lifecycle.close(), lifecycle.close()])
  t.strictSame(events, ['start a', 'start b', 'start c', 'close c', 'close b', 'close a'])
})

t.test('Lifecycle closes what was started when a part cannot start', async (t) => {
  const { events, lifecycle, part } = stage()
  const broken = part('b', { start: () => Promise.reject(new Error('address in use')) })
  await t.rejects(lifecycle.start([part('a'), broken, part('c')]), {
    message: 'Cannot start b: address in use',
  })
  t.strictSame(events, ['start a', 'close a'])
})

t.test('Lifecycle leaves a part behind that does not close in time', async (t) => {
  const { clock, events, lifecycle, logged, part } = stage()
  await lifecycle.start([part('a'), part('stuck', { close: () => new Promise(() => undefined) })])
  const closing = lifecycle.close()
  await clock.advance(4_999)
  t.strictSame(events, ['start a', 'start stuck'])
  await clock.advance(1)
  await closing
  t.strictSame(events, ['start a', 'start stuck', 'close a'])
  t.match(logged.join(''), /"part":"stuck".*Part did not close in time/)
  t.equal(clock.waiting, 0)
})

t.test('Lifecycle closes the others when one fails to close', async (t) => {
  const { clock, events, lifecycle, logged, part } = stage()
  const broken = part('b', { close: () => Promise.reject(new Error('gone')) })
  await lifecycle.start([part('a'), broken])
  await lifecycle.close()
  t.strictSame(events, ['start a', 'start b', 'close a'])
  t.match(logged.join(''), /"cause":"gone".*Part failed to close/)
  t.equal(clock.waiting, 0)
})

t.test(
  'stopSignal() takes signals of one moment for one stop, and a later one ends the process',
  async (t) => {
    const clock = new FakeClock()
    const source = new EventEmitter()
    let ended = 0
    const stopped = stopSignal(clock, source, () => (ended += 1))
    source.emit('SIGTERM', 'SIGTERM')
    t.equal(await stopped, 'SIGTERM')
    source.emit('SIGTERM', 'SIGTERM')
    source.emit('SIGINT', 'SIGINT')
    await clock.advance(1_999)
    source.emit('SIGTERM', 'SIGTERM')
    t.equal(ended, 0, 'a terminal, timeout and npm send the same stop')
    await clock.advance(1)
    source.emit('SIGINT', 'SIGINT')
    t.equal(ended, 1)
  },
)
