import t from 'tap'
import { DecisionLog, type Decision } from '../../../agent-side/requests/decision-log.ts'

function decision(requestId: string, status: number, outcome: Decision['outcome'] = 'relayed') {
  return {
    requestId,
    at: 0,
    peer: { kind: 'overlapd' },
    method: 'GET',
    target: '/',
    key: undefined,
    resolution: undefined,
    findings: [],
    mappingAge: 0,
    outcome,
    status,
    reason: undefined,
    upstream: 0,
    attempts: 1,
    span: 1,
  } satisfies Decision
}

t.test('DecisionLog finds the latest and forgets the oldest', async (t) => {
  const log = new DecisionLog(3)
  for (const id of ['a', 'b', 'c', 'd']) log.add(decision(id, 200))
  t.equal(log.find('a'), undefined)
  for (const id of ['b', 'c', 'd']) t.equal(log.find(id)?.requestId, id)
})

t.test('DecisionLog keeps refusals apart from a storm of good answers', async (t) => {
  const log = new DecisionLog(3)
  log.add(decision('refused', 404, 'refused'))
  log.add(decision('compute said no', 403))
  log.add(decision('left', 0, 'left'))
  for (let number = 0; number < 100; number += 1) log.add(decision(`good ${number}`, 200))
  t.equal(log.find('refused')?.status, 404)
  t.strictSame(
    log.latestRefusals(2).map((one) => one.requestId),
    ['left', 'compute said no'],
  )
})

t.test(
  'a path that compute does not have is no refusal, and no proof that a guest was served',
  async (t) => {
    const log = new DecisionLog(3)
    log.add(decision('user data', 404))
    t.strictSame(log.latestRefusals(2), [])
    t.equal(log.find('user data')?.status, 404)
    t.equal(log.latestServed(), undefined)
    log.add(decision('served', 200))
    log.add(decision('keys', 404))
    t.equal(log.latestServed()?.requestId, 'served')
  },
)
