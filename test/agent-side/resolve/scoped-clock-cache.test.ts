import t from 'tap'
import { ScopedClockCache } from '../../../agent-side/resolve/scoped-clock-cache.ts'
import { networkId, routerId } from '../../conformance/topology.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { SeededRandom } from '../../support/random.ts'

const router = { kind: 'router', routerId: routerId(1) } as const
const network = { kind: 'network', networkId: networkId(1) } as const

function memory(max: number): {
  readonly clock: FakeClock
  readonly gone: string[]
  readonly subject: ScopedClockCache<string>
} {
  const clock = new FakeClock()
  const gone: string[] = []
  const onGone = (value: string): void => void gone.push(value)
  return { clock, gone, subject: new ScopedClockCache({ clock, max, ttl: 1_000, onGone }) }
}

t.test('get() distinguishes scopes, places and details', async (t) => {
  const { subject } = memory(10)
  const sameText = { kind: 'network', networkId: routerId(1) as string as never } as const
  subject.set(router, '10.0.0.10', 'one', 'a')
  subject.set(router, '10.0.0.10', 'two', 'b')
  subject.set(router, '10.0.0.11', 'one', 'c')
  subject.set(network, '10.0.0.10', 'one', 'd')

  t.equal(subject.get(router, '10.0.0.10', 'one'), 'a')
  t.equal(subject.get(router, '10.0.0.10', 'two'), 'b')
  t.equal(subject.get(router, '10.0.0.11', 'one'), 'c')
  t.equal(subject.get(network, '10.0.0.10', 'one'), 'd')
  t.equal(subject.get(sameText, '10.0.0.10', 'one'), undefined, 'a network of the router’s name')
  t.equal(subject.get(router, '10.0.0.10', 'three'), undefined)
  t.equal(subject.get(router, '10.0.0.11', 'two'), undefined)
  t.equal(subject.size, 4)
})

t.test('get() gives nothing that is older than its time', async (t) => {
  const { clock, gone, subject } = memory(10)
  subject.set(router, 'a', '', 'young')
  subject.set(router, 'b', '', 'old', clock.now() - 500)

  await clock.advance(501)
  t.equal(subject.get(router, 'b', ''), undefined)
  t.equal(subject.get(router, 'a', ''), 'young')
  t.strictSame(gone, ['old'])
  t.equal(subject.size, 1)
})

t.test('set() gives up what no caller requested, and never holds more than it may', async (t) => {
  const { gone, subject } = memory(3)
  for (const place of ['a', 'b', 'c']) subject.set(router, place, '', place)
  subject.get(router, 'a', '')

  subject.set(router, 'd', '', 'd')
  t.strictSame(gone, ['b'])
  t.ok(subject.has(router, 'a', ''))
  t.equal(subject.size, 3)

  subject.set(router, 'd', '', 'other d')
  t.equal(subject.get(router, 'd', ''), 'other d')
  t.strictSame(gone, ['b'], 'a value in place of another is not gone')
})

t.test('a memory of one value holds the newest', async (t) => {
  const { subject } = memory(1)
  subject.set(router, 'a', '', 'a')
  subject.get(router, 'a', '')
  subject.set(network, 'b', '', 'b')

  t.notOk(subject.has(router, 'a', ''))
  t.ok(subject.has(network, 'b', ''))
  t.throws(() => memory(0), RangeError)
})

t.test('it answers as a plain map would, whatever was put in and taken out', async (t) => {
  const { subject, gone } = memory(50)
  const random = new SeededRandom(7)
  const pick = (count: number): string => String(Math.floor(random.next() * count))
  const expected = new Map<string, string>()
  for (let turn = 0; turn < 20_000; turn += 1) {
    const scope = random.next() < 0.5 ? router : network
    const [place, detail] = [pick(20), pick(4)]
    const name = `${scope.kind} ${place} ${detail}`
    if (random.next() < 0.3) {
      const wasThere = subject.delete(scope, place, detail)
      if (wasThere !== expected.delete(name)) t.fail(`${name} was there: ${wasThere}`)
    } else if (random.next() < 0.5) {
      gone.length = 0
      subject.set(scope, place, detail, name)
      for (const other of gone) expected.delete(other)
      expected.set(name, name)
    }
    const got = subject.get(scope, place, detail)
    if (got !== expected.get(name)) t.fail(`${name} is ${got}`)
    if (subject.size !== expected.size) t.fail(`${subject.size} values are held`)
  }
  t.equal(subject.size, expected.size)
  t.ok(subject.size <= 50)
})
