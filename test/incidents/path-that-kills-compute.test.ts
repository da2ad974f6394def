// At some paths Nova's application dies and uWSGI closes without a byte. Guests got 503 after 3 s, Nova got 23 requests for one, and the
// endpoint looked down for everybody. Right: 502 with a reason of its own, at most one repetition, no mark against the endpoint.
import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import type { AgentStatus } from '../../lib/operator/api/agent-api.ts'
import { guestPort, startLeasePair } from '../support/lease-pair.ts'
import { guestFields, startAgentForOneGuest, type OneGuest } from '../support/one-guest.ts'
import { RecordingUpstream, type UpstreamRequest } from '../support/recording-upstream.ts'

const deadly = '/latest/user-data/x'

function answer({ target }: UpstreamRequest, response: ServerResponse): void {
  if (target === deadly) response.socket?.destroy()
  else response.end('ok')
}

async function start(
  t: Test,
  count: number,
): Promise<OneGuest & { upstreams: readonly RecordingUpstream[] }> {
  const upstreams = await Promise.all(
    Array.from({ length: count }, () => RecordingUpstream.start(answer)),
  )
  t.teardown(() => Promise.all(upstreams.map((one) => one.close())))
  const guest = await startAgentForOneGuest(t, {
    upstreams: upstreams.map(({ url }) => url),
    config: { compute: { timeout_restart: '3s' } },
  })
  return { ...guest, upstreams }
}

for (const count of [1, 2]) {
  for (const method of ['GET', 'POST']) {
    t.test(`a path that kills compute, ${method}, ${count} endpoints`, async (t) => {
      const { agent, upstreams } = await start(t, count)
      t.equal((await agent.ask('/latest', guestFields))?.status, 200)

      const body = method === 'POST' ? { body: 'x' } : {}
      const answers = []
      for (let round = 0; round < 5; round += 1) {
        answers.push(await agent.ask(deadly, guestFields, { method, ...body }))
      }

      for (const answer of answers) {
        t.equal(answer?.status, 502)
        t.equal(answer?.field('x-overlapd-reason'), 'compute_cut_off')
      }
      const asked = upstreams.flatMap(({ requests }) => requests)
      const sent = asked.filter(({ target }) => target === deadly).length
      t.equal(sent, method === 'POST' ? 5 : 10, 'once, and once more where that is safe')
      const status = (await agent.json('/status')) as AgentStatus
      t.match(status.upstreams[0], { state: 'up', failures: 0 })
      t.equal((await agent.ask('/latest', guestFields))?.status, 200)
    })
  }
}

t.test('a path that kills compute, under a lease', async (t) => {
  const { directory, upstream, worker, agent } = await startLeasePair(t, { answer })
  const port = guestPort(1)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  t.equal((await worker.ask(port, '/latest')).body.toString(), 'ok')

  for (let round = 1; round <= 3; round += 1) {
    const cut = await worker.ask(port, deadly)
    t.equal(cut.status, 502)
    t.equal(cut.field('x-overlapd-reason'), 'compute_cut_off')
    const sent = upstream.requests.filter(({ target }) => target === deadly).length
    t.equal(sent, round * 3, 'once by the worker, which hands it back; then as over the agent')
    t.equal(await worker.metric('overlapd_proxy_direct_handed_back_total'), round)
  }

  t.match(await worker.forwarding(), { way: 'compute' }, 'the endpoint is as good as before')
  const status = (await agent.json('/status')) as AgentStatus
  t.match(status.upstreams[0], { state: 'up', failures: 0 })
  const direct = await worker.direct()
  t.equal((await worker.ask(port, '/latest')).body.toString(), 'ok')
  t.equal(await worker.direct(), direct + 1)
})
