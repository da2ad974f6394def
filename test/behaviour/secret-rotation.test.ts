import t from 'tap'
import type { AgentStatus } from '../../lib/operator/api/agent-api.ts'
import { guestFields, guestInstance, startAgentForOneGuest } from '../support/one-guest.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'

t.test('while endpoints change their secret one by one, no guest sees a 403', async (t) => {
  const first = await RecordingUpstream.start(novaLike('old'))
  const second = await RecordingUpstream.start(novaLike('old'))
  t.teardown(() => Promise.all([first.close(), second.close()]))
  const { agent } = await startAgentForOneGuest(t, {
    upstreams: [first.url, second.url],
    secret: 'old',
    nextSecret: 'new',
  })
  const secrets = async () =>
    ((await agent.json('/status')) as AgentStatus).upstreams.map((one) => one.secret)
  const ask = async () => {
    const answer = await agent.ask('/latest', guestFields)
    t.equal(answer?.status, 200)
    t.equal(answer?.body.toString(), guestInstance)
  }

  await ask()
  t.strictSame(await secrets(), ['current', 'current'])

  first.answer = novaLike('new')
  await ask()
  t.strictSame(await secrets(), ['next', 'current'], 'which endpoint holds which is visible')
  t.equal(first.requests.length, 3)
  await ask()
  t.equal(first.requests.length, 4, 'and remembered')

  await first.stopListening()
  await ask()
  second.answer = novaLike('new')
  await ask()
  t.strictSame(await secrets(), ['next', 'next'])

  second.answer = novaLike('old')
  await ask()
  t.strictSame(await secrets(), ['next', 'current'], 'back again')
})

t.test(
  'a secret that no endpoint takes is passed on as 403, and reported to the operator',
  async (t) => {
    const upstream = await RecordingUpstream.start(novaLike('other'))
    t.teardown(() => upstream.close())
    const { agent, clock } = await startAgentForOneGuest(t, {
      upstreams: [upstream.url],
      nextSecret: 'n3xts3cr3t',
    })
    const told = () =>
      agent.log.filter((line) =>
        String(line['message']).includes('the shared secrets probably differ'),
      )

    for (let round = 0; round < 3; round += 1) {
      const answer = await agent.ask('/latest', guestFields)
      t.equal(answer?.status, 403)
      t.equal(answer?.body.toString(), 'Invalid proxy request signature.')
    }
    t.equal(upstream.requests.length, 6, 'each secret once')
    t.equal(told().length, 1, 'not once a request')
    clock.pass(60_000)
    await agent.ask('/latest', guestFields)
    t.equal(told().length, 2)
    t.match(await agent.json('/status'), { upstreams: [{ refusesSecrets: true }] })
    t.match(
      await agent.text('/metrics'),
      /overlapd_agent_upstream_secret_refused\{upstream="0"\} 1/,
    )
    const everything = JSON.stringify(agent.log) + (await agent.text('/status'))
    t.notMatch(everything, 'n3xts3cr3t', 'no secret is ever shown')
    t.notMatch(everything, 's3cr3t')
  },
)

t.test('a request with a body is not sent with another secret', async (t) => {
  const upstream = await RecordingUpstream.start(novaLike('new'))
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, {
    upstreams: [upstream.url],
    secret: 'old',
    nextSecret: 'new',
  })
  const post = { method: 'POST', body: 'secret' }
  t.equal((await agent.ask('/openstack/latest/password', guestFields, post))?.status, 403)
  t.equal(upstream.requests.length, 1)
  t.equal((await agent.ask('/latest', guestFields))?.status, 200)
  t.equal((await agent.ask('/openstack/latest/password', guestFields, post))?.status, 200)
})
