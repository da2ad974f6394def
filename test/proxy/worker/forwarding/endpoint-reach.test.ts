import t from 'tap'
import type { AnswerHandler } from '../../../../lib/fast-http/answer-handler.ts'
import { EndpointReach } from '../../../../proxy/worker/forwarding/endpoint-reach.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

function made(): {
  readonly clock: FakeClock
  readonly reach: EndpointReach
  readonly probes: AnswerHandler[]
} {
  const clock = new FakeClock()
  const probes: AnswerHandler[] = []
  const reach = new EndpointReach({ clock, probe: (handler) => void probes.push(handler) })
  return { clock, reach, probes }
}

t.test('an endpoint counts as reached until a request fails', async (t) => {
  const { reach, probes } = made()
  t.ok(reach.isUsable())
  t.equal(reach.failure, undefined)
  reach.failed(new Error('connect ECONNREFUSED'))
  t.notOk(reach.isUsable())
  t.equal(reach.failure, 'connect ECONNREFUSED')
  t.equal(probes.length, 0, 'it rests')
})

t.test('after a rest one probe finds out, and no request of a guest', async (t) => {
  const { clock, reach, probes } = made()
  reach.failed(new Error('connect ETIMEDOUT'))
  clock.pass(500)
  t.notOk(reach.isUsable())
  t.notOk(reach.isUsable())
  t.equal(probes.length, 1)
  probes[0]?.onHeaders(200, [], () => undefined)
  t.ok(reach.isUsable())
  t.equal(reach.failure, undefined)
  probes[0]?.onComplete()
})

t.test('each rest is longer than the one before', async (t) => {
  const { clock, reach, probes } = made()
  reach.failed(new Error('connect ETIMEDOUT'))
  for (const rest of [500, 1_000, 2_000]) {
    clock.pass(rest)
    reach.isUsable()
    const probe = probes.pop()
    t.ok(probe, `a probe after ${rest} ms`)
    probe?.onError(new Error('connect ETIMEDOUT'))
    t.notOk(reach.isUsable())
    t.equal(probes.length, 0)
  }
})

t.test('a probe whose answer has no end is given up, and was an answer', async (t) => {
  const { clock, reach, probes } = made()
  reach.failed(new Error('connect ETIMEDOUT'))
  clock.pass(500)
  reach.isUsable()
  const [probe] = probes
  let isStopped = false
  probe?.onConnect(() => {
    isStopped = true
    probe.onError(new Error('aborted'))
  })
  probe?.onHeaders(200, [], () => undefined)
  probe?.onData(Buffer.alloc(64 * 1024 + 1))
  t.ok(isStopped)
  t.ok(reach.isUsable())
})
