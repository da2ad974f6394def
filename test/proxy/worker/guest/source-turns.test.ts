import t from 'tap'
import { SourceTurns, type Turn } from '../../../../proxy/worker/guest/source-turns.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

/** Requests of one source, by number. */
class Burst {
  readonly clock = new FakeClock()
  readonly begun: number[] = []
  readonly #turns: SourceTurns
  readonly #all: Turn[] = []

  constructor(limit: number) {
    this.#turns = new SourceTurns({ clock: this.clock, limit })
  }

  send(count: number): void {
    for (let sent = 0; sent < count; sent += 1) {
      const place = this.#all.length
      const turn = { turnCame: () => void this.begun.push(place) }
      this.#all.push(turn)
      if (this.#turns.enter(turn)) turn.turnCame()
    }
  }

  async end(place: number): Promise<void> {
    this.#turns.leave(this.#all[place]!)
    await this.settle()
  }

  async pass(milliseconds: number): Promise<void> {
    await this.clock.advance(milliseconds)
    await this.settle()
  }

  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }
}

t.test('a burst goes through two by two while it is answered at once', async (t) => {
  const burst = new Burst(16)
  burst.send(6)
  t.strictSame(burst.begun, [0, 1])
  await burst.end(1)
  t.strictSame(burst.begun, [0, 1, 2])
  await burst.end(0)
  t.strictSame(burst.begun, [0, 1, 2, 3])
})

t.test('where answers take long, one more begins each 10 ms, up to the limit', async (t) => {
  const burst = new Burst(5)
  burst.send(7)
  t.strictSame(burst.begun, [0, 1])
  await burst.pass(9)
  t.strictSame(burst.begun, [0, 1])
  await burst.pass(1)
  t.strictSame(burst.begun, [0, 1, 2])
  await burst.pass(10)
  await burst.pass(10)
  t.strictSame(burst.begun, [0, 1, 2, 3, 4])
  t.equal(burst.clock.waiting, 0, 'at the limit, only the end of a request lets the next one begin')
  await burst.pass(1_000)
  t.strictSame(burst.begun, [0, 1, 2, 3, 4])
  await burst.end(3)
  t.strictSame(burst.begun, [0, 1, 2, 3, 4, 5])
})

t.test('nothing overtakes, nothing is left over, and no timer stays', async (t) => {
  const burst = new Burst(16)
  burst.send(4)
  await burst.pass(10)
  t.strictSame(burst.begun, [0, 1, 2])
  burst.send(1)
  t.strictSame(burst.begun, [0, 1, 2], 'the last one waits behind that which came before')
  await burst.end(3)
  await burst.end(0)
  t.strictSame(burst.begun, [0, 1, 2], 'two are still under way')
  await burst.end(1)
  t.strictSame(burst.begun, [0, 1, 2, 4])
  t.equal(burst.clock.waiting, 0)
  await burst.end(2)
  await burst.end(4)
  burst.send(2)
  t.strictSame(burst.begun, [0, 1, 2, 4, 5, 6])
})

t.test('a limit of one is kept', async (t) => {
  const burst = new Burst(1)
  burst.send(2)
  await burst.pass(100)
  t.strictSame(burst.begun, [0])
  await burst.end(0)
  t.strictSame(burst.begun, [0, 1])
})
