import t from 'tap'
import { AgentPulse, type QueriedAgent } from '../../../../proxy/worker/agent/agent-pulse.ts'
import type { HealthOutcome } from '../../../../proxy/worker/agent/health-request.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

/** An agent that answers when the test says so. */
class ScriptedAgent implements QueriedAgent {
  receivedAt = 0
  isSilent = false
  isThere = true
  readonly address: QueriedAgent['address']
  readonly questions: ((outcome: HealthOutcome | Error) => void)[] = []
  cancelled = 0

  constructor(kind: 'unix' | 'tls') {
    this.address = { kind }
  }

  requestHealth(told: (outcome: HealthOutcome | Error) => void) {
    this.questions.push(told)
    return { isSent: this.isThere, cancel: () => void (this.cancelled += 1) }
  }
}

function start(kind: 'unix' | 'tls' = 'unix') {
  const clock = new FakeClock()
  const agent = new ScriptedAgent(kind)
  const seen = { silent: 0, hung: 0, answers: 0, failures: 0 }
  const wanted = { isWaitedFor: false }
  const pulse = new AgentPulse({
    endpoint: agent,
    clock,
    isWaitedFor: () => wanted.isWaitedFor,
    onSilent: (_why, isHung) => {
      if (isHung) seen.hung += 1
      else seen.silent += 1
      agent.isSilent = true
    },
    onAnswer: () => {
      seen.answers += 1
      agent.receivedAt = clock.now()
      agent.isSilent = false
    },
    onFailure: () => (seen.failures += 1),
  })
  pulse.start()
  return { clock, agent, seen, wanted, pulse }
}

t.test('an agent that answers is queried once a second and is well', async (t) => {
  const { clock, agent, seen } = start()
  for (let second = 0; second < 60; second += 1) {
    await clock.advance(1_000)
    agent.questions.at(-1)!('ours')
  }
  t.match(seen, { silent: 0, answers: 60 })
})

t.test('one that does not is silent within four seconds, and back when it answers', async (t) => {
  const { clock, agent, seen } = start()
  await clock.advance(3_999)
  t.equal(seen.silent, 0)
  await clock.advance(1)
  t.equal(seen.silent, 1)
  t.equal(agent.cancelled, 1)
  t.equal(agent.questions.length, 2, 'it is asked again at once')
  agent.questions[1]!('ours')
  t.equal(agent.isSilent, false)
  t.equal(seen.answers, 1)
})

t.test('one that is silent hangs within seven seconds, once for each that follow', async (t) => {
  const { clock, seen } = start()
  await clock.advance(6_999)
  t.match(seen, { silent: 1, hung: 0 }, 'a busy one has time to answer')
  await clock.advance(1)
  t.match(seen, { silent: 1, hung: 1 })
})

t.test('one that is not there is not silent: it is waited for where one connects', async (t) => {
  const { clock, agent, seen } = start()
  agent.isThere = false
  await clock.advance(60_000)
  t.match(seen, { silent: 0, hung: 0 })
  t.equal(agent.cancelled, 0)
})

t.test('one that gives guests answers need not be queried, and is not silent', async (t) => {
  const { clock, agent, seen } = start()
  await clock.advance(1_000)
  for (let second = 0; second < 20; second += 1) {
    agent.receivedAt = clock.now() + 1
    await clock.advance(1_000)
  }
  t.equal(agent.questions.length, 1)
  t.equal(seen.silent, 0)
})

t.test('time in which this process did not run counts for nothing', async (t) => {
  const { clock, seen } = start()
  await clock.advance(1_000)
  clock.pass(3_600_000)
  await clock.advance(1_000)
  t.equal(seen.silent, 0)
})

t.test('one elsewhere is queried only while a request waits for it', async (t) => {
  const { clock, agent, seen, wanted } = start('tls')
  await clock.advance(60_000)
  t.equal(agent.questions.length, 0)
  wanted.isWaitedFor = true
  await clock.advance(4_000)
  t.equal(seen.silent, 1)
  wanted.isWaitedFor = false
  await clock.advance(60_000)
  t.ok(agent.questions.length > 10, 'a silent one is asked until it answers')
})

t.test("one of Neutron's own is queried once", async (t) => {
  const { clock, agent, seen } = start()
  await clock.advance(1_000)
  agent.questions[0]!('foreign')
  await clock.advance(60_000)
  t.equal(agent.questions.length, 1)
  t.match(seen, { silent: 0, answers: 1 })
})

t.test('one that cannot be connected to is not silent', async (t) => {
  const { clock, agent, seen, pulse } = start()
  await clock.advance(1_000)
  agent.questions[0]!(new Error('ENOENT'))
  t.match(seen, { silent: 0, failures: 1 })
  pulse.stop()
  await clock.advance(60_000)
  t.equal(agent.questions.length, 1)
  t.equal(clock.waiting, 0)
})
