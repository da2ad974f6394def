import t from 'tap'
import { FairQueue, type Seat } from '../../../lib/admission/fair-queue.ts'
import { SeededRandom } from '../../support/random.ts'

function queueOf(options: Partial<ConstructorParameters<typeof FairQueue>[0]> = {}) {
  return new FairQueue<string>({ max: 1_000, maxPerProject: 1_000, preference: 4, ...options })
}

const always = (): boolean => true

/** Takes items out one after the other as a single slot would serve them. */
function drain(queue: FairQueue<string>, seatOf: (item: string) => Seat): string[] {
  const order: string[] = []
  for (let item = queue.next(always); item !== undefined; item = queue.next(always)) {
    order.push(item)
    queue.start(seatOf(item))
    queue.finish(seatOf(item))
  }
  return order
}

t.test(
  'FairQueue takes projects in turn, inside them instances, inside those in order',
  async (t) => {
    const queue = queueOf()
    const seatOf = (item: string): Seat => queue.seat(item[0]!, item.slice(0, 2), false)
    const items = ['a1-1', 'a1-2', 'a1-3', 'a2-1', 'a1-4', 'b1-1', 'b1-2', 'c1-1']
    for (const item of items) t.equal(queue.add(seatOf(item), item), undefined)
    t.equal(queue.waiting, 8)
    const expected = ['a1-1', 'b1-1', 'c1-1', 'a2-1', 'b1-2', 'a1-2', 'a1-3', 'a1-4']
    t.strictSame(drain(queue, seatOf), expected)
    t.equal(queue.waiting, 0)
    t.equal(queue.running, 0)
  },
)

t.test('FairQueue shares slots by who holds them, not by who comes often', async (t) => {
  const queue = queueOf()
  const slow = queue.seat('slow', 'i', false)
  const quick = queue.seat('quick', 'i', false)
  for (let held = 0; held < 5; held += 1) queue.start(slow)
  for (let number = 0; number < 50; number += 1) {
    queue.add(slow, `slow ${number}`)
    queue.add(quick, `quick ${number}`)
  }
  for (let number = 0; number < 20; number += 1) {
    t.equal(queue.next(always), `quick ${number}`, 'while the slow ones hold more')
    queue.start(quick)
    queue.finish(quick)
  }
})

t.test('FairQueue gives the preferred lane its weight and starves neither', async (t) => {
  const queue = queueOf()
  const booting = queue.seat('p', 'new', true)
  const steady = queue.seat('p', 'old', false)
  for (let number = 0; number < 400; number += 1) {
    queue.add(booting, `booting ${number}`)
    queue.add(steady, `steady ${number}`)
  }
  const running: string[] = []
  for (let slot = 0; slot < 100; slot += 1) {
    const [lane = ''] = queue.next(always)?.split(' ') ?? []
    queue.start(lane === 'booting' ? booting : steady)
    running.push(lane)
  }
  t.equal(running.filter((item) => item === 'booting').length, 80)
  t.ok(running.indexOf('steady') < 5, 'whoever holds nothing is soon next')
})

t.test('FairQueue with one slot lets the lanes take turns by their weight', async (t) => {
  const queue = queueOf({ preference: 3 })
  const seats = { booting: queue.seat('p', 'new', true), steady: queue.seat('p', 'old', false) }
  for (let number = 0; number < 9; number += 1) {
    queue.add(seats.booting, `booting ${number}`)
    queue.add(seats.steady, `steady ${number}`)
  }
  const order = drain(queue, (item) => seats[item.startsWith('b') ? 'booting' : 'steady'])
  t.strictSame(
    order.slice(0, 12).map((item) => item[0]),
    ['b', 'b', 'b', 's', 'b', 'b', 'b', 's', 'b', 'b', 'b', 's'],
  )
  t.equal(order.length, 18)
})

t.test('FairQueue turns to the other lane when the first may not start', async (t) => {
  const queue = queueOf()
  const booting = queue.seat('p', 'new', true)
  const steady = queue.seat('q', 'old', false)
  queue.add(booting, 'booting')
  queue.add(steady, 'steady')
  t.equal(
    queue.next((seat) => seat === booting),
    'booting',
  )
  t.equal(
    queue.next((seat) => seat === booting),
    undefined,
  )
  t.equal(queue.next(always), 'steady')
})

t.test('FairQueue makes room at the cost of whoever has most waiting', async (t) => {
  const queue = queueOf({ max: 10, maxPerProject: 8 })
  const flood = queue.seat('flood', 'i', false)
  for (let number = 0; number < 8; number += 1) queue.add(flood, `flood ${number}`)
  t.equal(queue.add(flood, 'flood 8'), 'flood 8', 'no more of one project')
  const sibling = queue.seat('flood', 'sibling', false)
  t.equal(queue.add(sibling, 'sibling'), 'flood 7', 'but a quiet instance of it gets a place')
  const quiet = ['q', 'r', 's'].map((project) => queue.seat(project, 'i', false))
  t.strictSame(
    quiet.map((seat, number) => queue.add(seat, `quiet ${number}`)),
    [undefined, undefined, 'flood 6'],
  )
  t.equal(queue.add(queue.seat('t', 'i', true), 'booting'), 'flood 5')
  t.equal(queue.waiting, 10)
})

t.test('FairQueue that is full of equals refuses the newcomer', async (t) => {
  const queue = queueOf({ max: 4 })
  for (const project of ['a', 'b']) {
    for (const instance of ['1', '2']) queue.add(queue.seat(project, instance, true), 'x')
  }
  t.equal(queue.add(queue.seat('a', '1', true), 'mine'), 'mine')
  t.equal(queue.add(queue.seat('c', '1', false), 'ordinary'), 'ordinary')
  t.equal(queue.add(queue.seat('c', '1', true), 'new'), 'x', 'somebody with one less gets a place')
  t.equal(queue.waiting, 4)
})

t.test('FairQueue forgets items that left, and may be notified twice', async (t) => {
  const queue = queueOf()
  const seat = queue.seat('a', '1', false)
  for (const item of ['first', 'second', 'third']) queue.add(seat, item)
  queue.remove(seat, 'second')
  queue.remove(seat, 'second')
  t.equal(queue.waiting, 2)
  t.strictSame(
    drain(queue, () => seat),
    ['first', 'third'],
  )
})

t.test('FairQueue keeps seats in use and forgets the idle ones', async (t) => {
  const queue = queueOf()
  const used = queue.seat('used', 'i', false)
  const waiting = queue.seat('waiting', 'i', false)
  queue.start(used)
  queue.add(waiting, 'item')
  for (let number = 0; number < 20_000; number += 1) queue.seat(`p ${number}`, 'i', false)
  t.equal(queue.seat('used', 'i', false), used)
  t.equal(queue.seat('waiting', 'i', false), waiting)
  t.equal(used.projectRunning, 1)
  t.not(queue.seat('p 0', 'i', false), queue.seat('p 1', 'i', false))
})

t.test('FairQueue: whatever happens, counts agree, bounds hold, no key starves', async (t) => {
  const random = new SeededRandom(7)
  const below = (most: number): number => Math.floor(random.next() * most)
  const queue = queueOf({ max: 60, maxPerProject: 25, preference: 3 })
  const waiting = new Map<string, Seat>()
  const running: Seat[] = []
  let wrong = 0
  for (let step = 0; step < 20_000; step += 1) {
    const action = random.next()
    if (action < 0.5) {
      const seat = queue.seat(`p${below(5)}`, `i${below(6)}`, random.next() < 0.5)
      const item = `item ${step}`
      waiting.set(item, seat)
      const gone = queue.add(seat, item)
      if (gone !== undefined && !waiting.delete(gone)) wrong += 1
    } else if (action < 0.6) {
      const [item, seat] = [...waiting][below(waiting.size)] ?? []
      if (item !== undefined && seat !== undefined) {
        queue.remove(seat, item)
        waiting.delete(item)
      }
    } else if (action < 0.8 && running.length < 8) {
      const item = queue.next(always)
      const seat = item === undefined ? undefined : waiting.get(item)
      if ((seat === undefined) !== (waiting.size === 0)) wrong += 1
      if (item !== undefined && seat !== undefined) {
        const least = Math.min(...[...waiting.values()].map((one) => one.projectRunning))
        if (seat.projectRunning > least + 8) wrong += 1
        waiting.delete(item)
        queue.start(seat)
        running.push(seat)
      }
    } else {
      const [seat] = running.splice(below(running.length), 1)
      if (seat !== undefined) queue.finish(seat)
    }
    if (queue.waiting !== waiting.size || queue.running !== running.length) wrong += 1
    if (queue.waiting > 60) wrong += 1
  }
  t.equal(wrong, 0)
  for (const seat of running) queue.finish(seat)
  const rest = [...waiting.keys()]
  t.strictSame(
    drain(queue, (item) => waiting.get(item)!).toSorted(),
    rest.toSorted(),
    'everybody who still waits gets a turn',
  )
})

t.test('FairQueue: whoever holds nothing waits for one turn of the others at most', async (t) => {
  const random = new SeededRandom(3)
  for (let round = 0; round < 50; round += 1) {
    const projects = 2 + Math.floor(random.next() * 20)
    const queue = queueOf({ max: 10_000 })
    const seats = new Map<string, Seat>()
    for (let project = 0; project < projects; project += 1) {
      const seat = queue.seat(`p${project}`, 'i', false)
      for (let number = 0; number < 40; number += 1) {
        seats.set(`p${project} ${number}`, seat)
        queue.add(seat, `p${project} ${number}`)
      }
    }
    const newcomer = queue.seat('newcomer', 'i', false)
    seats.set('newcomer', newcomer)
    queue.add(newcomer, 'newcomer')
    const position = drain(queue, (item) => seats.get(item)!).indexOf('newcomer')
    if (position > projects) t.fail('it waited too long', { round, projects, position })
  }
  t.pass('in 50 rounds')
})
