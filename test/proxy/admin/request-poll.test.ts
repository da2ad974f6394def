import t from 'tap'
import type { RequestEvent } from '../../../lib/operator/request-event.ts'
import { RequestPoll } from '../../../proxy/admin/request-poll.ts'
import type { RecentRequests, RequestRecord } from '../../../proxy/worker/shared/protocol.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const record: RequestRecord = {
  requestId: 'r-1',
  at: Date.UTC(2026, 0, 1),
  method: 'GET',
  target: '/',
  scope: 'router/r',
  sourceIp: '10.0.0.10',
  upstream: 'http://192.0.2.1:8775',
  answeredBy: 'compute',
  outcome: 'relayed',
  status: 200,
  span: 1.2345,
}

/** Two workers, and what was asked of them. */
class TwoWorkers {
  readonly asked: Record<number, number>[] = []
  readonly answers = new Map<number, RecentRequests>()

  async recentRequests(known: ReadonlyMap<number, number>): Promise<Map<number, RecentRequests>> {
    this.asked.push(Object.fromEntries(known))
    return new Map(this.answers)
  }
}

t.test('RequestPoll queries while a client watches, from where each worker was', async (t) => {
  const clock = new FakeClock()
  const pool = new TwoWorkers()
  const events: (RequestEvent | number)[] = []
  const feed = {
    publish: (event: RequestEvent) => void events.push(event),
    missed: (count: number) => void events.push(count),
  }
  const poll = new RequestPoll({ pool, feed, clock })
  await clock.advance(10_000)
  t.strictSame(pool.asked, [])

  pool.answers.set(1, { last: 5, missed: 0, records: [] })
  poll.turn(true)
  await clock.advance(0)
  pool.answers.set(1, { last: 9, missed: 3, records: [record] })
  pool.answers.set(2, { last: 2, missed: 0, records: [] })
  await clock.advance(200)
  await clock.advance(200)
  t.strictSame(pool.asked, [{}, { 1: 5 }, { 1: 9, 2: 2 }])
  const { upstream: _, ...shown } = record
  const event = { ...shown, at: '2026-01-01T00:00:00.000Z', span: 1.235 }
  t.strictSame(events.slice(0, 2), [event, 3])

  poll.turn(false)
  const { length } = pool.asked
  await clock.advance(10_000)
  t.equal(pool.asked.length, length)
  t.equal(clock.waiting, 0)
})
