import t from 'tap'
import { FairReads } from '../../../../proxy/worker/raw/fair-reads.ts'

t.test('a source with one thing to read is next, however much another one has', async (t) => {
  const reads = new FairReads()
  const order: string[] = []
  const readable = (source: string, name: string): void =>
    reads.add({ source, readNow: () => order.push(name) })
  for (let index = 0; index < 100; index += 1) readable('greedy', `g${index}`)
  readable('modest', 'm')
  reads.run()
  t.strictSame(order.slice(0, 4), ['g0', 'm', 'g1', 'g2'])
  t.equal(order.length, 16, 'one turn has its limit')
  t.notOk(reads.isEmpty)
  while (!reads.isEmpty) reads.run()
  t.equal(order.length, 101)
  t.strictSame(
    order.filter((name) => name !== 'm'),
    Array.from({ length: 100 }, (_value, index) => `g${index}`),
    'of one source in its order',
  )
})

t.test('what is added while others are read has the next turn', async (t) => {
  const reads = new FairReads()
  const order: string[] = []
  reads.add({
    source: 'a',
    readNow: () => {
      order.push('first')
      reads.add({ source: 'a', readNow: () => order.push('second') })
    },
  })
  reads.run()
  t.strictSame(order, ['first'], 'not this one')
  reads.run()
  t.strictSame(order, ['first', 'second'])
  t.ok(reads.isEmpty)
})

t.test('what is gone waits no more', async (t) => {
  const reads = new FairReads()
  const order: string[] = []
  const [first, second] = ['first', 'second'].map((name) => ({
    source: 'a',
    readNow: () => void order.push(name),
  }))
  reads.add(first!)
  reads.add(second!)
  reads.remove(first!)
  reads.remove(first!)
  reads.run()
  t.strictSame(order, ['second'])
  reads.add(first!)
  reads.remove(first!)
  t.ok(reads.isEmpty)
})
