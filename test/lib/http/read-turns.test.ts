import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { ReadTurns } from '../../../lib/http/read-turns.ts'

class FakeSocket {
  isRead = true
  pause(): void {
    this.isRead = false
  }
  resume(): void {
    this.isRead = true
  }
}

const much = 64 * 1024

t.test('of many long answers, eight go on in each turn of the event loop', async (t) => {
  const turns = new ReadTurns()
  const sockets = Array.from({ length: 20 }, () => new FakeSocket())
  for (const socket of sockets) {
    turns.of(socket, () => false).took(much)
  }
  const reading = (): number => sockets.filter(({ isRead }) => isRead).length

  t.equal(reading(), 0)
  for (const expected of [8, 16, 20]) {
    await nextTurn()
    t.equal(reading(), expected)
  }
})

t.test('little data is read without a pause, until it is much', async (t) => {
  const socket = new FakeSocket()
  const turn = new ReadTurns().of(socket, () => false)
  turn.took(much / 2)
  t.ok(socket.isRead)
  turn.took(much / 2)
  t.notOk(socket.isRead)
  await nextTurn()
  t.ok(socket.isRead)
})

t.test('what is paused for another reason stays so when its turn comes', async (t) => {
  const socket = new FakeSocket()
  new ReadTurns().of(socket, () => true).took(much)
  await nextTurn()
  t.notOk(socket.isRead)
})
