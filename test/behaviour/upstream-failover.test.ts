import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import type { AgentStatus } from '../../lib/operator/api/agent-api.ts'
import { guestFields, startAgentForOneGuest, type OneGuest } from '../support/one-guest.ts'
import { RecordingUpstream, type AnswerUpstream } from '../support/recording-upstream.ts'

function says(text: string, status = 200): AnswerUpstream {
  return (_request, response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'text/plain' }).end(text)
  }
}

async function twoUpstreams(
  t: Test,
): Promise<OneGuest & { first: RecordingUpstream; second: RecordingUpstream }> {
  const first = await RecordingUpstream.start(says('first'))
  const second = await RecordingUpstream.start(says('second'))
  t.teardown(() => Promise.all([first.close(), second.close()]))
  const guest = await startAgentForOneGuest(t, { upstreams: [first.url, second.url] })
  return { ...guest, first, second }
}

async function bodyOf({ agent }: OneGuest, method?: string): Promise<string | undefined> {
  const answer = await agent.ask('/latest', guestFields, { ...(method && { method }) })
  return answer?.body.toString()
}

async function stateOf({ agent }: OneGuest): Promise<readonly string[]> {
  return ((await agent.json('/status')) as AgentStatus).upstreams.map(({ state }) => state)
}

t.test('the first upstream answers while it works', async (t) => {
  const subject = await twoUpstreams(t)
  t.equal(await bodyOf(subject), 'first')
  t.equal(subject.second.requests.length, 0)
})

t.test(
  'an upstream that refuses connections is passed over, left alone, and tried again',
  async (t) => {
    const subject = await twoUpstreams(t)
    await subject.first.stopListening()
    t.equal(await bodyOf(subject), 'second')
    t.strictSame(await stateOf(subject), ['down', 'up'])

    await subject.first.listen()
    t.equal(await bodyOf(subject), 'second', 'left alone for a while')
    subject.clock.pass(10_000)
    t.strictSame(await stateOf(subject), ['due', 'up'])
    t.equal(await bodyOf(subject), 'first')
    t.strictSame(await stateOf(subject), ['up', 'up'])
  },
)

for (const status of [502, 503, 504]) {
  t.test(`a ${status} is not the last word while another upstream can be tried`, async (t) => {
    const subject = await twoUpstreams(t)
    subject.first.answer = says('busy', status)
    t.equal(await bodyOf(subject), 'second')
    t.equal(subject.first.requests.length, 1)
  })
}

for (const status of [400, 403, 404, 409, 429, 500]) {
  t.test(`a ${status} is passed on and tries no other`, async (t) => {
    const subject = await twoUpstreams(t)
    subject.first.answer = says('no', status)
    const answer = await subject.agent.ask('/latest', guestFields)
    t.equal(answer?.status, status)
    t.equal(answer?.body.toString(), 'no')
    t.equal(answer?.field('x-overlapd-reason'), undefined, 'the answer is not ours')
    t.equal(subject.second.requests.length, 0)
  })
}

t.test('what is not idempotent is sent once', async (t) => {
  const subject = await twoUpstreams(t)
  subject.first.answer = says('busy', 503)
  const answer = await subject.agent.ask('/openstack/latest/password', guestFields, {
    method: 'POST',
    body: 'secret',
  })
  t.equal(answer?.status, 503)
  t.equal(answer?.body.toString(), 'busy')
  t.equal(subject.first.requests[0]?.body.toString(), 'secret')
  t.equal(subject.second.requests.length, 0)
})

t.test('when all look down, one is tried all the same', async (t) => {
  const subject = await twoUpstreams(t)
  await Promise.all([subject.first.stopListening(), subject.second.stopListening()])
  const refused = await subject.agent.ask('/latest', guestFields)
  t.equal(refused?.status, 503)
  t.equal(refused?.field('x-overlapd-reason'), 'compute_unreachable')
  t.equal(refused?.field('retry-after'), '2')
  t.strictSame(await stateOf(subject), ['down', 'down'])

  await subject.second.listen()
  t.equal(await bodyOf(subject), 'second')
})

t.test('when the others are gone, the busy one has the last word', async (t) => {
  const subject = await twoUpstreams(t)
  subject.first.answer = says('busy', 503)
  await subject.second.stopListening()
  const answer = await subject.agent.ask('/latest', guestFields)
  t.equal(answer?.status, 503)
  t.equal(answer?.body.toString(), 'busy')
})

t.test('an idle connection that was closed under us is not the guest’s problem', async (t) => {
  const upstream = await RecordingUpstream.start()
  t.teardown(() => upstream.close())
  const guest = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  let isFirst = true
  upstream.answer = (_request, response) => {
    if (isFirst) response.socket?.destroy()
    else response.end('good')
    isFirst = false
  }
  t.equal(await bodyOf(guest), 'good')
})

t.test('an upstream that closes every connection unanswered makes guests wait', async (t) => {
  const upstream = await RecordingUpstream.start((_request, response) => {
    response.socket?.destroy()
  })
  t.teardown(() => upstream.close())
  const guest = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  const answer = await guest.agent.ask('/latest', guestFields)
  t.equal(answer?.status, 503)
  t.equal(answer?.field('x-overlapd-reason'), 'compute_unreachable')
  t.ok(answer?.field('retry-after'), 'cloud-init comes back after 503 and after no other status')
})

t.test('an upstream that never answers whole is reported broken', async (t) => {
  const upstream = await RecordingUpstream.start((_request, response) => {
    response.socket?.end('this is not HTTP\r\n\r\n')
  })
  t.teardown(() => upstream.close())
  const guest = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  const answer = await guest.agent.ask('/latest', guestFields)
  t.equal(answer?.status, 502)
  t.equal(answer?.field('x-overlapd-reason'), 'compute_broken_answer')
})

t.test('an answer that breaks off reaches the guest as broken off', async (t) => {
  const subject = await twoUpstreams(t)
  subject.first.answer = (_request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half', () => response.socket?.destroy())
  }
  const connection = await subject.agent.connect()
  const lines = guestFields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  await connection.write(`GET /latest HTTP/1.1\r\n${lines}\r\n`)
  const bytes = await connection.rest()
  connection.close()
  t.match(bytes.toString(), /^HTTP\/1\.1 200 [^]*half$/)
  t.equal(subject.second.requests.length, 0, 'nothing is sent again after the first byte')
})

t.test('an answer that ends with its connection is whole', async (t) => {
  const upstream = await RecordingUpstream.start((_request, response) => {
    response.socket?.end('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end')
  })
  t.teardown(() => upstream.close())
  const guest = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  for (let round = 0; round < 3; round += 1) t.equal(await bodyOf(guest), 'until the end')
  t.equal(upstream.connections, 3)
})
