import t from 'tap'
import type { MetadataError } from '../../../lib/runtime/errors.ts'
import { FairGate, type FairGateOptions, type Leaving } from '../../../lib/admission/fair-gate.ts'
import type { Seat } from '../../../lib/admission/fair-queue.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { SeededRandom } from '../../support/random.ts'

/** A guest that leaves when it is told to. */
class Guest implements Leaving {
  #left: (() => void) | undefined
  onGone(left: () => void): () => void {
    this.#left = left
    return () => {
      this.#left = undefined
    }
  }
  get isReceived(): boolean {
    return this.#left !== undefined
  }
  leave(): void {
    this.#left?.()
  }
}

interface Subject {
  readonly clock: FakeClock
  readonly gate: FairGate
  readonly limit: { value: number; readonly wants: () => number }
  /** Who entered, was shed or left, in order. */
  readonly events: string[]
  readonly ask: (
    name: string,
    project: string,
    isBooting?: boolean,
  ) => { readonly guest: Guest; readonly seat: Seat }
}

function subject(limitValue: number, options: Partial<FairGateOptions> = {}): Subject {
  const clock = new FakeClock()
  let wants = 0
  const limit = {
    value: limitValue,
    wanted: () => {
      wants += 1
    },
    wants: () => wants,
  }
  const events: string[] = []
  const gate = new FairGate({
    clock,
    limit,
    max: 1_000,
    maxPerProject: 1_000,
    preference: 8,
    longestWait: 6_000,
    longestRetryAfter: 5,
    random: () => 0.5,
    ...options,
  })
  return {
    clock,
    gate,
    limit,
    events,
    ask(name, project, isBooting = false) {
      const guest = new Guest()
      const seat = gate.seat(project, name, isBooting)
      if (gate.tryEnter(seat)) {
        events.push(`${name} entered`)
      } else {
        gate.wait(seat, guest).then(
          (outcome) => events.push(`${name} ${outcome}`),
          (error: MetadataError) => {
            events.push(
              `${name} ${error.code} ${String(error.details['why'])}, ${error.retryAfter}`,
            )
          },
        )
      }
      return { guest, seat }
    },
  }
}

t.test('FairGate lets in whoever finds room, at once', async (t) => {
  const { gate, limit, events, ask, clock } = subject(3)
  for (const name of ['a', 'b', 'c']) ask(name, 'p')
  t.strictSame(events, ['a entered', 'b entered', 'c entered'])
  ask('d', 'p')
  t.equal(gate.running, 3)
  t.equal(gate.waiting, 1)
  t.equal(limit.wants(), 1)
  t.strictSame(clock.pending, [6_000])
})

t.test('FairGate: a project that floods delays the others by one turn', async (t) => {
  const { gate, events, ask } = subject(1)
  const { seat } = ask('first', 'flood')
  for (let number = 0; number < 100; number += 1) ask(`flood ${number}`, 'flood')
  ask('quiet', 'other')
  gate.leave(seat)
  await Promise.resolve()
  t.strictSame(events, ['first entered', 'quiet entered'])
})

t.test('FairGate keeps the last quarter of its slots for projects that hold few', async (t) => {
  const { gate, events, ask } = subject(8)
  const seats = Array.from({ length: 8 }, (_, number) => ask(`slow ${number}`, 'slow').seat)
  t.equal(gate.running, 6)
  ask('one', 'other')
  ask('two', 'other')
  t.equal(gate.running, 8, 'others find room at once')
  t.equal(events.includes('two entered'), true)
  ask('three', 'third')
  t.equal(gate.waiting, 3)
  gate.leave(seats[0]!)
  await Promise.resolve()
  t.equal(events.at(-1), 'three entered')
})

t.test('FairGate lets go of a guest that leaves, at once', async (t) => {
  const { gate, events, ask, clock } = subject(1)
  const { seat } = ask('first', 'p')
  const { guest } = ask('second', 'p')
  ask('third', 'p')
  t.ok(guest.isReceived)
  guest.leave()
  t.equal(gate.waiting, 1)
  await Promise.resolve()
  t.equal(events.at(-1), 'second left')
  t.notOk(guest.isReceived)
  gate.leave(seat)
  await Promise.resolve()
  t.equal(events.at(-1), 'third entered')
  t.equal(clock.waiting, 0, 'no timer is left behind')
})

t.test('FairGate sends away who waited too long, with a time to come back', async (t) => {
  const { events, ask, clock, gate } = subject(1)
  ask('first', 'p')
  ask('second', 'p')
  await clock.advance(3_000)
  ask('third', 'p')
  await clock.advance(2_999)
  t.equal(events.length, 1)
  await clock.advance(1)
  t.strictSame(events.slice(1), ['second overloaded waited_too_long, 3'])
  await clock.advance(3_000)
  t.equal(events.at(-1), 'third overloaded waited_too_long, 3')
  t.equal(gate.waiting, 0)
  t.equal(clock.waiting, 0)
})

t.test('FairGate that is full sends away who floods, and spreads their return', async (t) => {
  const draws = [0, 0.2, 0.4, 0.6, 0.8, 0.999]
  const { events, ask, gate } = subject(1, { max: 4, random: () => draws.shift() ?? 0 })
  ask('first', 'flood')
  for (let number = 0; number < 10; number += 1) ask(`flood ${number}`, 'flood')
  t.equal(gate.waiting, 4)
  ask('quiet', 'other')
  await Promise.resolve()
  await Promise.resolve()
  t.equal(gate.waiting, 4)
  const shed = events.filter((event) => event.includes('overloaded queue_full'))
  t.equal(shed.length, 7)
  t.notOk(shed.some((event) => event.startsWith('quiet')))
  t.strictSame(new Set(shed.map((event) => Number(event.at(-1)))), new Set([1, 2, 3, 4, 5]))
})

t.test('FairGate follows a limit that moves', async (t) => {
  const { gate, limit, events, ask } = subject(4)
  const seats = ['a', 'b', 'c', 'd'].map((name) => ask(name, name).seat)
  for (let number = 0; number < 6; number += 1) ask(`waiting ${number}`, `p${number}`)
  limit.value = 2
  gate.leave(seats[0]!)
  gate.leave(seats[1]!)
  t.equal(gate.waiting, 6, 'two still run')
  limit.value = 6
  gate.leave(seats[2]!)
  await Promise.resolve()
  t.equal(gate.running, 6)
  t.equal(events.filter((event) => event.startsWith('waiting')).length, 5)
})

t.test('FairGate: every caller is answered once, within the bounds', async (t) => {
  const random = new SeededRandom(11)
  const below = (most: number): number => Math.floor(random.next() * most)
  const { gate, limit, clock, events, ask } = subject(5, {
    max: 30,
    maxPerProject: 12,
    random: () => random.next(),
  })
  const guests = new Map<string, ReturnType<Subject['ask']>>()
  let handled = 0
  let running: Seat[] = []
  let wrong = 0
  const settle = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve))
    for (const event of events.slice(handled)) {
      const name = event.split(' ').slice(0, 2).join(' ')
      const one = guests.get(name)
      if (one === undefined) wrong += 1
      else if (event === `${name} entered`) running.push(one.seat)
      guests.delete(name)
    }
    handled = events.length
    if (running.length !== gate.running || gate.waiting > 30) wrong += 1
    if (guests.size !== gate.waiting) wrong += 1
  }
  for (let step = 0; step < 3_000; step += 1) {
    const action = random.next()
    if (action < 0.55) {
      const name = `guest ${step}`
      const before = gate.running
      guests.set(name, ask(name, `p${below(4)}`, random.next() < 0.3))
      if (gate.running > Math.max(before, limit.value)) wrong += 1
    } else if (action < 0.65) {
      ;[...guests.values()][below(guests.size)]?.guest.leave()
    } else if (action < 0.95) {
      const [seat] = running.splice(below(running.length), 1)
      if (seat !== undefined) gate.leave(seat)
    } else if (action < 0.98) {
      limit.value = 1 + below(8)
    } else {
      await clock.advance(below(4_000))
    }
    await settle()
  }
  t.equal(wrong, 0)
  while (gate.running > 0) {
    const all = running
    running = []
    for (const seat of all) gate.leave(seat)
    await settle()
  }
  t.equal(gate.waiting, 0)
  t.equal(guests.size, 0, 'nobody was forgotten')
  t.equal(clock.waiting, 0)
})
